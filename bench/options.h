// What the benchmark is asked for, on its command line.
#ifndef BENCH_OPTIONS_H_
#define BENCH_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace capbroker::bench {

inline constexpr char kBase[] = "raw_seqpacket";  // what ratios are to

struct Options {
  bool json = false;
  bool quick = false;
  bool peers = false;
  bool growth = false;
  int rounds = 11;
  std::vector<std::string> only;
  bool one_cpu = true;

  // `count` calls, or few.
  int Calls(int count) const { return quick ? (count < 150 ? 1 : count / 75) : count; }
  // Whether `name` is to be measured. What must be ready for it is made only then.
  bool Wants(absl::string_view name) const;
};

// Ends the program if it does not understand them.
Options ParseOptions(int argc, char* argv[]);

}  // namespace capbroker::bench

#endif  // BENCH_OPTIONS_H_
