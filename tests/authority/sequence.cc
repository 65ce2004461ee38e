#include "tests/authority/sequence.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/authority/sequence_model.h"

namespace capbroker::testing {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;

constexpr size_t kSteps = 24;

// So small that it is used up, and large enough that it takes some steps.
std::unique_ptr<Message> RandomBudget(const authority::ServiceSchema& schema,
                                      RandomMessages& random) {
  std::unique_ptr<Message> budget = schema.NewBudget();
  for (const authority::BudgetField& field : schema.budget_fields()) {
    const uint64_t units = field.kind == capbroker::v1::RESPONSE_BYTES ? 100 : 1;
    const uint64_t amount = random.Below(8) * units;
    if (field.field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      budget->GetReflection()->SetUInt32(budget.get(), field.field, static_cast<uint32_t>(amount));
    } else {
      budget->GetReflection()->SetUInt64(budget.get(), field.field, amount);
    }
  }
  return budget;
}

Step::Kind RandomKind(RandomMessages& random, About about) {
  if (about == About::kBudget && !random.OneIn(3)) return Step::Kind::kAsk;
  switch (random.Below(16)) {
    case 0:
      return Step::Kind::kRevoke;
    case 1:
    case 2:
      return Step::Kind::kClose;
    case 3:
    case 4:
      return Step::Kind::kCrash;
    case 5:
    case 6:
      return Step::Kind::kWait;
    case 7:
    case 8:
    case 9:
    case 10:
      return Step::Kind::kClone;
    default:
      return Step::Kind::kNarrow;
  }
}

Step RandomStep(RandomMessages& random, About about) {
  Step step;
  step.kind = RandomKind(random, about);
  step.channel = random.Below(64);
  step.message = random.Below(64);
  step.amount = step.kind == Step::Kind::kWait ? random.Below(100) : random.Below(60);
  step.descriptors = random.Below(3);
  if (random.OneIn(5)) {
    step.crash = random.OneIn(2) ? Crash::kBeforeItIsRecorded : Crash::kAfterItIsRecorded;
  }
  return step;
}

std::string DescribeStep(const Step& step) {
  static constexpr const char* kKinds[] = {"narrow", "clone", "revoke", "close",
                                           "crash",  "wait",  "ask"};
  static constexpr const char* kCrashes[] = {"", " and crash before it is recorded",
                                             " and crash after it is recorded"};
  return absl::StrCat(kKinds[static_cast<int>(step.kind)], " channel:", step.channel,
                      " message:", step.message, " amount:", step.amount,
                      " descriptors:", step.descriptors, kCrashes[static_cast<int>(step.crash)]);
}

bool Fails(const authority::ServiceSchema& schema, const Sequence& sequence, About about) {
  Compared ignored;
  return RunSequence(schema, sequence, about, ignored).has_value();
}

}  // namespace

Sequence RandomSequence(const authority::ServiceSchema& schema, RandomMessages& random,
                        About about) {
  Sequence sequence;
  random.Focus();
  sequence.messages.push_back(random.Limits());
  sequence.messages.push_back(RandomBudget(schema, random));
  for (size_t i = 0; i < Sequence::kLimits; ++i) sequence.messages.push_back(random.Limits());
  const auto granted = authority::Limits::Compile(schema, *sequence.messages[0]).value();
  for (size_t i = 0; i < Sequence::kRequests; ++i) {
    const authority::MethodSchema* method = nullptr;
    std::unique_ptr<Message> request;
    // Most of those that the first channel may ask; the others are as they come.
    for (int attempt = 0; attempt < 30; ++attempt) {
      method = &schema.methods()[random.Below(schema.methods().size())];
      request = random.Request(method->descriptor());
      if (i < 3 || !granted->Check(*method, *request).has_value()) break;
    }
    sequence.messages.push_back(std::move(request));
    sequence.methods.push_back(method);
  }
  for (size_t i = 0; i < kSteps; ++i) sequence.steps.push_back(RandomStep(random, about));
  return sequence;
}

std::optional<std::string> RunSequence(const authority::ServiceSchema& schema,
                                       const Sequence& sequence, About about, Compared& compared) {
  SequenceRun run(schema, sequence, about, compared);
  for (size_t i = 0; i < sequence.steps.size(); ++i) {
    if (std::optional<std::string> failure = run.Take(sequence.steps[i])) {
      return absl::StrCat("step ", i + 1, ", ", DescribeStep(sequence.steps[i]), ": ", *failure);
    }
    if (run.over()) break;
  }
  return std::nullopt;
}

void ShrinkSequence(const authority::ServiceSchema& schema, About about, Sequence& sequence) {
  for (size_t i = sequence.steps.size(); i-- > 0;) {
    const Step removed = sequence.steps[i];
    sequence.steps.erase(sequence.steps.begin() + static_cast<ptrdiff_t>(i));
    if (Fails(schema, sequence, about)) continue;
    sequence.steps.insert(sequence.steps.begin() + static_cast<ptrdiff_t>(i), removed);
    if (removed.crash == Crash::kNone) continue;
    sequence.steps[i].crash = Crash::kNone;
    if (!Fails(schema, sequence, about)) sequence.steps[i].crash = removed.crash;
  }
  Shrink(sequence.messages, [&](const Case&) { return Fails(schema, sequence, about); });
}

std::string DescribeSequence(const Sequence& sequence) {
  std::string text = Describe(sequence.messages);
  for (const Step& step : sequence.steps) absl::StrAppend(&text, "\n  ", DescribeStep(step));
  return text;
}

}  // namespace capbroker::testing
