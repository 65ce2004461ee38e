#include "bench/options.h"

#include <cstdio>
#include <cstdlib>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace capbroker::bench {

bool Options::Wants(absl::string_view name) const {
  return only.empty() || name == kBase || absl::c_linear_search(only, name);
}

Options ParseOptions(int argc, char* argv[]) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--quick") {
      options.quick = true;
      options.rounds = 1;
    } else if (argument == "--peers") {
      options.peers = true;
    } else if (argument == "--growth") {
      options.growth = true;
    } else if (absl::ConsumePrefix(&argument, "--rounds=") &&
               absl::SimpleAtoi(argument, &options.rounds) && options.rounds > 0) {
    } else if (absl::ConsumePrefix(&argument, "--only=")) {
      options.only = absl::StrSplit(argument, ',');
    } else if (argument == "--place=same" || argument == "--place=free") {
      options.one_cpu = absl::EndsWith(argument, "same");
    } else {
      std::fprintf(stderr,
                   "usage: bench [--json] [--peers] [--growth] [--quick] [--rounds=N] "
                   "[--only=NAME,...] [--place=same|free]\n");
      std::exit(2);
    }
  }
  return options;
}

}  // namespace capbroker::bench
