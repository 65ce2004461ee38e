// A broker program that offers the probe.
#include "broker/broker_program.h"
#include "broker/testing/probe_service.h"

int main(int argc, char** argv) {
  // Named, so that they are linked.
  (void)capbroker::testing::Probe({});
  return capbroker::RunBrokerProgram(argc, argv);
}
