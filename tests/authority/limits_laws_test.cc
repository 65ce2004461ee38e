// The laws of limits, over random messages of every service:
//   - limits form a meet-semilattice with a canonical form, whose bottom is empty;
//   - Meet(a, b) allows a request exactly when both do;
//   - the checker agrees with the naive one.
// Laws of sequences are in sequence_laws_test. CAPBROKER_SEED and CAPBROKER_CASES choose the
// run. A failure is made small first.
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "authority/limits.h"
#include "authority/schema.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "google/protobuf/stubs/logging.h"
#include "gtest/gtest.h"
#include "tests/authority/cases.h"
#include "tests/authority/law_services.h"
#include "tests/authority/naive_check.h"
#include "tests/authority/random_messages.h"
#include "tests/authority/shrink.h"

namespace capbroker::testing {
namespace {

using authority::Limits;
using authority::MethodSchema;
using authority::ServiceSchema;
using ::google::protobuf::Message;
using ::google::protobuf::ServiceDescriptor;
using LimitsPtr = std::shared_ptr<const Limits>;

// For each drawing of limits.
constexpr int kRequests = 60;

std::string Bytes(const LimitsPtr& limits) { return limits->message()->SerializeAsString(); }
bool Equal(const LimitsPtr& a, const LimitsPtr& b) { return Bytes(a) == Bytes(b); }
bool Below(const LimitsPtr& a, const LimitsPtr& b) { return Equal(Meet(*a, *b), a); }

class LimitsLawsTest : public ::testing::TestWithParam<const ServiceDescriptor*> {
 protected:
  LimitsLawsTest()
      : seed_(SeedFromEnvironment()),
        cases_(CasesFromEnvironment(CasesOf(CurrentLaw()))),
        schema_(ServiceSchema::Compile(*GetParam()).value()),
        random_(*GetParam(), seed_) {}

  ~LimitsLawsTest() override {
    std::cout << CurrentLaw() << ", " << GetParam()->name() << ": " << checked_
              << " cases, CAPBROKER_SEED=" << seed_;
    if (allowed_ != 0) {
      std::cout << ", " << allowed_ * 100 / (allowed_ + denied_) << "% of the answers allow";
    }
    std::cout << "\n";
    EXPECT_TRUE(HasFailure() || (checked_ >= cases_ && cases_ > 0)) << "fewer cases than wanted";
  }

  LimitsPtr Compile(const Message& message) const {
    return Limits::Compile(*schema_, message).value();
  }
  LimitsPtr Compile(const Case& messages, size_t index) const { return Compile(*messages[index]); }

  // Checks that `law` holds for `count` random limits, as often as cases are wanted.
  void HoldsForLimits(int count, const std::function<bool(const Case&)>& law) {
    while (checked_ < cases_ && !HasFailure()) {
      random_.Focus();
      Case messages;
      for (int j = 0; j < count; ++j) messages.push_back(random_.Limits());
      ++checked_;
      if (!law(messages)) Fail(messages, law);
    }
  }

  // A law about some limits and a request, which is the last message of the case.
  using RequestLaw =
      std::function<bool(const std::vector<LimitsPtr>&, const Case&, const MethodSchema&)>;

  // The same for `count` limits, followed in the vector by their meet, and several
  // requests of any method for each.
  void HoldsForRequests(int count, const RequestLaw& law) {
    while (checked_ < cases_ && !HasFailure()) {
      random_.Focus();
      Case messages;
      for (int j = 0; j < count; ++j) messages.push_back(random_.Limits());
      const std::vector<LimitsPtr> compiled = CompileAndMeet(messages, count);
      messages.emplace_back();
      for (int j = 0; j < kRequests && !HasFailure(); ++j) {
        const MethodSchema& method = schema_->methods()[random_.Below(schema_->methods().size())];
        messages.back() = random_.Request(method.descriptor());
        ++checked_;
        if (law(compiled, messages, method)) continue;
        Fail(messages, [&](const Case& c) { return law(CompileAndMeet(c, count), c, method); });
      }
    }
  }

  bool Allows(const LimitsPtr& limits, const MethodSchema& method, const Message& request) {
    const bool allows = !limits->Check(method, request).has_value();
    ++(allows ? allowed_ : denied_);
    return allows;
  }

  // Guards against laws that hold because everything is denied, or nothing.
  void ExpectBothAnswers() const {
    if (checked_ < 200) return;
    EXPECT_GT(allowed_, checked_ / 50);
    EXPECT_GT(denied_, checked_ / 50);
  }

  const uint64_t seed_;
  const int64_t cases_;
  const std::unique_ptr<const ServiceSchema> schema_;
  RandomMessages random_;
  int64_t checked_ = 0;
  int64_t allowed_ = 0;
  int64_t denied_ = 0;

 private:
  std::vector<LimitsPtr> CompileAndMeet(const Case& messages, int count) const {
    std::vector<LimitsPtr> compiled;
    for (int i = 0; i < count; ++i) compiled.push_back(Compile(*messages[i]));
    if (count == 2) compiled.push_back(Meet(*compiled[0], *compiled[1]));
    return compiled;
  }

  void Fail(Case& messages, const std::function<bool(const Case&)>& law) {
    Shrink(messages, [&law](const Case& smaller) { return !law(smaller); });
    ADD_FAILURE() << "seed " << seed_ << ", the smallest that fails:" << Describe(messages);
  }
};

TEST_P(LimitsLawsTest, CanonicalFormIsStable) {
  HoldsForLimits(1, [this](const Case& c) {
    const LimitsPtr a = Compile(c, 0);
    return Equal(Compile(*a->message()), a);
  });
}

TEST_P(LimitsLawsTest, MeetIsIdempotent) {
  HoldsForLimits(1, [this](const Case& c) {
    const LimitsPtr a = Compile(c, 0);
    return Equal(Meet(*a, *a), a);
  });
}

TEST_P(LimitsLawsTest, MeetIsCommutative) {
  HoldsForLimits(2, [this](const Case& c) {
    const LimitsPtr a = Compile(c, 0);
    const LimitsPtr b = Compile(c, 1);
    return Equal(Meet(*a, *b), Meet(*b, *a));
  });
}

TEST_P(LimitsLawsTest, MeetIsAssociative) {
  HoldsForLimits(3, [this](const Case& c) {
    const LimitsPtr x = Compile(c, 0);
    const LimitsPtr y = Compile(c, 1);
    const LimitsPtr z = Compile(c, 2);
    return Equal(Meet(*Meet(*x, *y), *z), Meet(*x, *Meet(*y, *z)));
  });
}

TEST_P(LimitsLawsTest, MeetIsMonotone) {
  HoldsForLimits(3, [this](const Case& c) {
    const LimitsPtr greater = Compile(c, 0);
    const LimitsPtr smaller = Meet(*greater, *Compile(c, 1));
    const LimitsPtr other = Compile(c, 2);
    return Below(smaller, greater) && Below(Meet(*smaller, *other), Meet(*greater, *other));
  });
}

TEST_P(LimitsLawsTest, MeetIsInCanonicalForm) {
  HoldsForLimits(2, [this](const Case& c) {
    const LimitsPtr meet = Meet(*Compile(c, 0), *Compile(c, 1));
    return Equal(Compile(*meet->message()), meet);
  });
}

TEST_P(LimitsLawsTest, NothingIsTheBottom) {
  const LimitsPtr nothing = Limits::Nothing(*schema_);
  EXPECT_EQ(Bytes(nothing), "");
  HoldsForLimits(1, [&](const Case& c) { return Equal(Meet(*nothing, *Compile(c, 0)), nothing); });
}

TEST_P(LimitsLawsTest, WithoutEffectIsEmptyExactlyForWhatIsBelow) {
  HoldsForLimits(2, [this](const Case& c) {
    const LimitsPtr requested = Compile(c, 0);
    const LimitsPtr in_force = Compile(c, 1);
    const LimitsPtr meet = Meet(*requested, *in_force);
    return WithoutEffect(*requested, *in_force).empty() == Below(requested, in_force) &&
           WithoutEffect(*meet, *in_force).empty();
  });
}

TEST_P(LimitsLawsTest, MeetAllowsWhatBothAllow) {
  HoldsForRequests(2, [this](const auto& limits, const Case& c, const MethodSchema& method) {
    const bool both = Allows(limits[0], method, *c[2]) && Allows(limits[1], method, *c[2]);
    return Allows(limits[2], method, *c[2]) == both;
  });
  ExpectBothAnswers();
}

TEST_P(LimitsLawsTest, TheCheckerAgreesWithTheNaiveOne) {
  HoldsForRequests(1, [this](const auto& limits, const Case& c, const MethodSchema& method) {
    return Allows(limits[0], method, *c[1]) == NaivelyAllows(*c[0], method.descriptor(), *c[1]);
  });
  ExpectBothAnswers();
}

// empty-grants-nothing
TEST_P(LimitsLawsTest, EmptyLimitsAllowNoRequest) {
  const LimitsPtr nothing = Limits::Nothing(*schema_);
  HoldsForRequests(0, [&](const auto&, const Case& c, const MethodSchema& method) {
    return method.unlimited() || !Allows(nothing, method, *c[0]);
  });
}

// Bytes that no honest peer sends compile to nothing, or to limits that keep the laws.
TEST_P(LimitsLawsTest, DamagedLimitsAreRefusedOrKeepTheLaws) {
  int refused = 0;
  const google::protobuf::LogSilencer silencer;  // text that is not UTF-8
  while (checked_ < cases_ && !HasFailure()) {
    ++checked_;
    random_.Focus();
    const LimitsPtr in_force = Compile(*random_.Limits());
    std::string bytes = random_.Limits()->SerializeAsString();
    for (uint64_t flips = 1 + random_.Below(3); flips > 0 && !bytes.empty(); --flips) {
      bytes[random_.Below(bytes.size())] = static_cast<char>(random_.Below(256));
    }
    const auto compiled = Limits::CompileBytes(*schema_, bytes);
    if (!compiled.ok()) {
      ++refused;
      EXPECT_THAT(compiled, StatusIs(absl::StatusCode::kInvalidArgument));
      continue;
    }
    EXPECT_TRUE(Below(Meet(*in_force, **compiled), in_force)) << "seed " << seed_;
    EXPECT_TRUE(Equal(Compile(*(*compiled)->message()), *compiled)) << "seed " << seed_;
  }
  EXPECT_TRUE(refused > 0 || checked_ < 200);
}

INSTANTIATE_TEST_SUITE_P(EveryService, LimitsLawsTest, ::testing::ValuesIn(LawServices()),
                         [](const auto& info) { return info.param->name(); });

}  // namespace
}  // namespace capbroker::testing
