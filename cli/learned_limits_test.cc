#include "cli/learned_limits.h"

#include "gtest/gtest.h"

namespace capbroker::cli {
namespace {

using v1::AuditEvent;

AuditEvent Learned(uint64_t worker, const char* field, const char* value, v1::LimitKind kind) {
  AuditEvent event;
  event.set_kind(AuditEvent::LEARNED);
  event.set_service("a.Service");
  event.set_family(7);
  event.set_worker(worker);
  event.set_grant("grant");
  AuditEvent::Value* const learned = event.add_values();
  learned->set_field(field);
  learned->set_value(value);
  learned->set_kind(kind);
  return event;
}

TEST(LearnedLimitsTest, HaveEveryEntryOnceAndTheLargestOfNumbers) {
  LearnedLimits limits;
  for (const char* name : {"\"b\"", "\"a\"", "\"b\""}) {
    limits.Add(Learned(1, "names", name, v1::NAME_PATTERNS));
  }
  for (const char* size : {"10", "300", "20"}) limits.Add(Learned(1, "size", size, v1::MAXIMUM));
  for (const char* bits : {"1", "4", "0"}) limits.Add(Learned(1, "flags", bits, v1::FLAGS));
  EXPECT_EQ(limits.ToText(),
            "# worker 1, grant \"grant\": a.Service\n"
            "flags: 5\n"
            "names: \"a\"\n"
            "names: \"b\"\n"
            "size: 300\n");
}

TEST(LearnedLimitsTest, AllowTheSizeZeroWhereNothingElseWasUsed) {
  LearnedLimits limits;
  limits.Add(Learned(1, "size", "0", v1::MAXIMUM));
  EXPECT_EQ(limits.ToText(), "# worker 1, grant \"grant\": a.Service\nsize: 1\n");
}

TEST(LearnedLimitsTest, TellGrantsApartAndWhatIsMissing) {
  LearnedLimits limits;
  limits.Add(Learned(2, "names", "\"b\"", v1::NAME_PATTERNS));
  limits.Add(Learned(1, "names", "\"a\"", v1::NAME_PATTERNS));
  AuditEvent denied = Learned(1, "", "", v1::SET);
  denied.set_kind(AuditEvent::DENIED);
  limits.Add(denied);
  AuditEvent missing = Learned(2, "", "", v1::SET);
  missing.set_kind(AuditEvent::LEFT_OUT);
  missing.set_left_out(AuditEvent::LEARNED);
  missing.set_count(3);
  limits.Add(missing);
  EXPECT_EQ(limits.ToText(),
            "# worker 1, grant \"grant\": a.Service\n"
            "names: \"a\"\n"
            "# 1 calls were denied: what they needed is not among this\n"
            "\n"
            "# worker 2, grant \"grant\": a.Service\n"
            "names: \"b\"\n"
            "# 3 values are missing: too many, or such as cannot be granted alone\n");
}

}  // namespace
}  // namespace capbroker::cli
