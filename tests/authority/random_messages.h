// Random limits and requests for any service, from a seed.
//
// Values come from alphabets so small that a request often meets a limit, and a
// limit another one, including the spellings and malformed values that a hostile
// worker would try. Also the naive checker draws on what is here, never on authority/.
#ifndef TESTS_AUTHORITY_RANDOM_MESSAGES_H_
#define TESTS_AUTHORITY_RANDOM_MESSAGES_H_

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "capbroker/v1/authority.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace capbroker::testing {

// From the environment (CAPBROKER_SEED), or a new one.
uint64_t SeedFromEnvironment();
// From the environment (CAPBROKER_CASES), or `default_cases`.
int64_t CasesFromEnvironment(int64_t default_cases);

// Draws values, messages and requests of one service.
class RandomMessages {
 public:
  RandomMessages(const google::protobuf::ServiceDescriptor& service, uint64_t seed);

  // Valid limits. Most fields are generous, so that what one field says often decides.
  std::unique_ptr<google::protobuf::Message> Limits();
  // A request of the method, valid or not.
  std::unique_ptr<google::protobuf::Message> Request(
      const google::protobuf::MethodDescriptor& method);

  // Chooses the limits field that the next messages are about: sparse in limits.
  void Focus();

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  void FillLimit(const google::protobuf::FieldDescriptor& field, google::protobuf::Message& limits);
  void FillRequest(google::protobuf::Message& request);
  void FillField(const google::protobuf::FieldDescriptor& field,
                 const google::protobuf::FieldDescriptor* limit,
                 google::protobuf::Message& message);
  void AddMapEntry(const google::protobuf::FieldDescriptor& field,
                   const google::protobuf::FieldDescriptor* limit,
                   google::protobuf::Message& message);
  // Sets, or adds to, a field from a request's alphabet for the limit's kind.
  void FillScalar(const google::protobuf::FieldDescriptor& field,
                  const google::protobuf::FieldDescriptor* limit,
                  google::protobuf::Message& message);
  const google::protobuf::FieldDescriptor* LimitOf(
      const google::protobuf::FieldDescriptor& field) const;

  std::string LimitText(const google::protobuf::FieldDescriptor& limit,
                        capbroker::v1::LimitKind kind);
  std::string RequestText(const google::protobuf::FieldDescriptor& field,
                          capbroker::v1::LimitKind kind);
  int64_t Integer();
  std::string Name();
  std::string Path();
  std::string Word();

  const google::protobuf::Descriptor* limits_type_;
  const google::protobuf::FieldDescriptor* focus_ = nullptr;
  std::vector<std::string> needed_words_;
  std::mt19937_64 random_;
};

}  // namespace capbroker::testing

#endif  // TESTS_AUTHORITY_RANDOM_MESSAGES_H_
