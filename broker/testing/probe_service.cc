#include "broker/testing/probe_service.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "services/service.h"

namespace capbroker::testing {

grpc::Status ProbeService::Say(grpc::ServerContext*, const v1::SayRequest* request,
                               v1::SayResponse* response) {
  response->set_word(request->word());
  response->set_process(getpid());
  return grpc::Status::OK;
}

grpc::Status ProbeService::Die(grpc::ServerContext*, const v1::DieRequest* request,
                               v1::DieResponse*) {
  if (request->signal() != 0) raise(request->signal());
  if (request->exit_code() != 0) _exit(request->exit_code());
  return grpc::Status::OK;
}

grpc::Status ProbeService::Sleep(grpc::ServerContext*, const v1::SleepRequest* request,
                                 v1::SleepResponse*) {
  usleep(static_cast<useconds_t>(request->milliseconds()) * 1000);
  return grpc::Status::OK;
}

grpc::Status ProbeService::Look(grpc::ServerContext*, const v1::LookRequest*,
                                v1::LookResponse* response) {
  response->set_process(getpid());
  response->set_process_group(getpgrp());
  char name[16] = {};
  prctl(PR_GET_NAME, name);
  response->set_name(name);
  response->set_dumpable(prctl(PR_GET_DUMPABLE) != 0);
  DIR* const open = opendir("/proc/self/fd");
  while (const dirent* entry = open == nullptr ? nullptr : readdir(open)) {
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(open)) continue;
    char target[200] = {};
    (void)!readlinkat(dirfd(open), entry->d_name, target, sizeof target - 1);
    response->add_descriptors(absl::StrCat(entry->d_name, " ", target));
  }
  if (open != nullptr) closedir(open);
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action = {};
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_DFL) {
      response->add_handled_or_ignored_signals(signal);
    }
  }
  return grpc::Status::OK;
}

BrokenService::BrokenService() { _exit(7); }

SlowlyMadeService::SlowlyMadeService() { usleep(300'000); }

namespace {

v1::ProbeLimits Words(std::initializer_list<std::string> words) {
  v1::ProbeLimits limits;
  for (const std::string& word : words) limits.add_words(word);
  return limits;
}

}  // namespace

Authority Probe(std::initializer_list<std::string> words) {
  return Serve<ProbeService>(Words(words));
}

Authority SlowlyMadeProbe(std::initializer_list<std::string> words) {
  return Serve<SlowlyMadeService>(Words(words));
}

Authority BrokenProbe() { return Serve<BrokenService>(v1::ProbeLimits()); }

}  // namespace capbroker::testing
