// Small damage to bytes, from a seed: what the driver makes inputs of. Runs in tests.
#ifndef TOOLS_FUZZ_MUTATION_H_
#define TOOLS_FUZZ_MUTATION_H_

#include <cstdint>
#include <random>
#include <string>

namespace capbroker::fuzz {

class Mutation {
 public:
  explicit Mutation(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t bound) { return random_() % bound; }

  // `input` with one to four changes: bits, bytes, numbers with a meaning, pieces left
  // out, doubled, moved, or taken from `other`. At most `largest` bytes.
  std::string Mutate(std::string input, const std::string& other, size_t largest);

 private:
  void Change(std::string& input, const std::string& other);
  std::mt19937_64 random_;
};

}  // namespace capbroker::fuzz

#endif  // TOOLS_FUZZ_MUTATION_H_
