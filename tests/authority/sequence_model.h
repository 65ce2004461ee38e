// One run of a sequence: the family and its model, side by side. Internal to
// tests/authority/sequence.h, which says what the model is.
#ifndef TESTS_AUTHORITY_SEQUENCE_MODEL_H_
#define TESTS_AUTHORITY_SEQUENCE_MODEL_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "authority/schema.h"
#include "tests/authority/family_under_test.h"
#include "tests/authority/sequence.h"

namespace capbroker::testing {

// What a family has used up, by the list of everything.
class BudgetModel {
 public:
  BudgetModel(const authority::ServiceSchema& schema, const google::protobuf::Message& budget);

  void Wait(uint64_t seconds) { now_ += seconds; }
  void AddCall(const google::protobuf::Message& request);
  void AddResponse(uint64_t bytes, uint64_t descriptors);
  // What was admitted beyond the budget, if anything.
  std::optional<std::string> Exceeded(uint64_t clones) const;
  // Whether it may be refused: there is no room for one more.
  bool RefusesCall(const google::protobuf::Message& request) const;
  bool RefusesResponse(uint64_t bytes, uint64_t descriptors) const;
  bool RefusesClone(uint64_t clones) const;

 private:
  struct Account {
    const authority::BudgetField* field;
    uint64_t limit;
    std::vector<std::pair<uint64_t, uint64_t>> used;  // when, how much
    std::set<std::string> values;
  };
  uint64_t Used(const Account& account, uint64_t seconds) const;
  std::set<std::string> Values(const Account& account,
                               const google::protobuf::Message& request) const;

  const authority::ServiceSchema& schema_;
  std::vector<Account> accounts_;
  uint64_t clones_limit_;
  uint64_t now_ = 1000;
};

class SequenceRun {
 public:
  SequenceRun(const authority::ServiceSchema& schema, const Sequence& sequence, About about,
              Compared& compared);

  // Where family and model differ after the step, if they do.
  std::optional<std::string> Take(const Step& step);
  // Every holder is gone.
  bool over() const { return over_; }

 private:
  struct ModelChannel {
    uint64_t number;
    uint64_t parent;
    std::vector<bool> may_ask;
    bool revoked = false;
    bool open = true;
  };
  using Failure = std::optional<std::string>;

  const google::protobuf::Message& limits(size_t index) const;
  const google::protobuf::Message& request(size_t index) const;
  std::vector<bool> AskableWithin(const google::protobuf::Message& limits) const;
  uint64_t OpenClones() const;

  Failure Narrow(const Step& step, ModelChannel& channel);
  Failure Clone(const Step& step, ModelChannel& channel);
  Failure Ask(const Step& step, const ModelChannel& channel);
  void Revoke(const Step& step, const ModelChannel& channel);
  Failure CompareAll();

  const authority::ServiceSchema& schema_;
  const Sequence& sequence_;
  const About about_;
  Compared& compared_;
  FamilyUnderTest family_;
  BudgetModel budget_;
  std::deque<ModelChannel> channels_;  // all that there ever were
  bool crashed_ = false;
  bool over_ = false;
};

}  // namespace capbroker::testing

#endif  // TESTS_AUTHORITY_SEQUENCE_MODEL_H_
