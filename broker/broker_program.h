// A broker as a program of its own, for Broker::StartProgram().
//
//   int main(int argc, char** argv) { return capbroker::RunBrokerProgram(argc, argv); }
//
// The program links the services that it is to offer. It launches workers from programs:
// a function of the application is not in its memory.
//
// It starts with what any execve() keeps: descriptors 0 to 2, environment, working
// directory, ids. It is no child of the application: StartProgram() lets it be adopted
// by init (or the nearest subreaper), because an execve() would make a child announce its
// death by SIGCHLD and visible to wait(). The application kills it, and sees its end, by
// its pidfd.
#ifndef BROKER_BROKER_PROGRAM_H_
#define BROKER_BROKER_PROGRAM_H_

namespace capbroker {

// Returns the exit code: 2 when the program was not started by StartProgram().
int RunBrokerProgram(int argc, char** argv);

}  // namespace capbroker

#endif  // BROKER_BROKER_PROGRAM_H_
