// Sequences of what happens to a family, and a model of it that is obviously right.
//
// The model of a channel is the set of those requests, of the sequence's own dozen, that it may
// ask: a narrowing takes away what the naive checker says that the new limits do not allow, a
// clone starts with its parent's set, a revocation empties it, and nothing ever adds to one.
// The model of the budget is a list of all that was ever admitted.
//
// Lives in: tests.
#ifndef TESTS_AUTHORITY_SEQUENCE_H_
#define TESTS_AUTHORITY_SEQUENCE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "authority/schema.h"
#include "tests/authority/family_under_test.h"
#include "tests/authority/random_messages.h"
#include "tests/authority/shrink.h"

namespace capbroker::testing {

struct Step {
  enum class Kind { kNarrow, kClone, kRevoke, kClose, kCrash, kWait, kAsk };
  Kind kind = Kind::kAsk;
  // Numbers that are taken modulo what there is, so that a step means something wherever it is.
  size_t channel = 0;   // of all that there ever were
  size_t message = 0;   // kNarrow: of the limits; kClone: of them and none; kAsk: of the requests
  uint64_t amount = 0;  // kWait: seconds; kAsk: bytes of the response
  uint64_t descriptors = 0;  // kAsk: in the response
  Crash crash = Crash::kNone;
};

struct Sequence {
  // The first channel's limits, the budget, kLimits limits to narrow to, requests.
  static constexpr size_t kLimits = 8;
  static constexpr size_t kRequests = 12;
  Case messages;
  std::vector<const authority::MethodSchema*> methods;  // of the requests
  std::vector<Step> steps;
};

// Mostly steps that change channels, or mostly ones that use the budget up.
enum class About { kLimits, kBudget };
Sequence RandomSequence(const authority::ServiceSchema& schema, RandomMessages& random,
                        About about);

// What has been compared, for the test to say.
struct Compared {
  int64_t answers = 0;  // of channels to requests after a step
  int64_t allowed = 0;
  int64_t asked = 0;  // charged to the budget, or refused
  int64_t admitted = 0;
  int64_t admitted_after_crash = 0;
};

// Runs the sequence; where the family differs from its model, or nothing. kLimits: compares
// every channel and request after every step.
std::optional<std::string> RunSequence(const authority::ServiceSchema& schema,
                                       const Sequence& sequence, About about, Compared& compared);

// Leaves out what a failing sequence does not need to fail.
void ShrinkSequence(const authority::ServiceSchema& schema, About about, Sequence& sequence);

// For people: messages and steps, one on a line.
std::string DescribeSequence(const Sequence& sequence);

}  // namespace capbroker::testing

#endif  // TESTS_AUTHORITY_SEQUENCE_H_
