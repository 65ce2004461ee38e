// Hostile bytes against a service's checks: each input is a channel's limits and a
// request of one of the methods, and takes the way of a worker's request: parsed, its
// descriptors checked, its limits and budget checked, dispatched. What is dispatched to is
// the generated table over a service of which every method answers UNIMPLEMENTED: all
// that a service's author did not write, and hostile bytes reach first.
//
// An input is at fault if anything crashes, if lane and wire decide differently on it, or if
// a request reaches its method that
//   - the naive checker, which shares no code with authority/, refuses;
//   - has a text or a list longer than its max_length, or an unknown field;
//   - limits that are not set would have admitted (unless the method says so).
//
// protoc-gen-capbroker generates the registration for every proto (foo.fuzz.cc); the macro
// capbroker_service makes `foo_fuzz` of it, with a driver of its own (driver.cc) or libFuzzer's.
//
// Runs in tests.
#ifndef TOOLS_FUZZ_SERVICE_FUZZ_H_
#define TOOLS_FUZZ_SERVICE_FUZZ_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "authority/budget.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "serving/channel/channel_state.h"
#include "serving/dispatch.h"

namespace capbroker::fuzz {

// An input: byte 0 chooses the method, bytes 1 and 2 are the length of the limits, little
// end first; then come the limits and the request, each as they travel.
std::string MakeInput(uint8_t method, absl::string_view limits, absl::string_view request);

// Where the request begins in an input.
size_t RequestOf(absl::string_view input);

struct Counts {
  uint64_t inputs = 0;
  uint64_t limits = 0;      // with limits that are some
  uint64_t parsed = 0;      // with a request that is one
  uint64_t dispatched = 0;  // reached the method
};

class ServiceFuzz {
 public:
  // Dies if the service's proto is not one that can be served.
  explicit ServiceFuzz(std::unique_ptr<serving::Dispatch> dispatch);

  // Dies on an input that is at fault.
  void Run(absl::string_view input);

  // `count` inputs whose limits and requests are drawn from small alphabets, so that
  // they often meet: what a driver starts from.
  std::vector<std::string> Seeds(uint64_t seed, int count) const;

  const authority::ServiceSchema& schema() const { return *schema_; }
  const Counts& counts() const { return counts_; }
  // By method.
  const std::vector<uint64_t>& dispatched() const { return dispatched_; }

 private:
  void CheckNothing(const authority::MethodSchema& method,
                    const google::protobuf::Message& request) const;
  void Serve(const authority::MethodSchema& method, const google::protobuf::Message& request,
             const std::shared_ptr<const authority::Limits>& limits);

  const std::unique_ptr<serving::Dispatch> dispatch_;
  const std::unique_ptr<const authority::ServiceSchema> schema_;
  const std::shared_ptr<const authority::Limits> nothing_;
  Counts counts_;
  std::vector<uint64_t> dispatched_;
};

// Generated code makes its services known here before main; the result is of no interest.
using MakeDispatch = std::unique_ptr<serving::Dispatch> (*)();
bool AddFuzzedService(MakeDispatch make);

// Those that were made known, each made once.
const std::vector<std::unique_ptr<ServiceFuzz>>& FuzzedServices();

}  // namespace capbroker::fuzz

#endif  // TOOLS_FUZZ_SERVICE_FUZZ_H_
