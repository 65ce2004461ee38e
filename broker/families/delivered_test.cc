#include "broker/families/delivered.h"

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "broker/testing/probe.pb.h"
#include "gtest/gtest.h"

namespace capbroker::broker {
namespace {

using Counts = std::map<Delivered::Source, uint64_t>;
using testing::v1::ProbeLimits;

const google::protobuf::ServiceDescriptor& Service() {
  return *ProbeLimits::descriptor()->file()->FindServiceByName("Probe");
}

void Say(const std::string& method, const std::string& field, uint64_t descriptors,
         google::protobuf::RepeatedPtrField<v1::Delivery>& said) {
  v1::Delivery* const delivery = said.Add();
  delivery->set_method(method);
  delivery->set_field(field);
  delivery->set_descriptors(descriptors);
}

TEST(DeliveredTest, SumsByMethodAndField) {
  google::protobuf::RepeatedPtrField<v1::Delivery> said;
  Say("Say", "file", 2, said);
  Say("Say", "other", 1, said);
  Say("Look", "file", 0, said);
  Delivered delivered;
  delivered.Add(Service(), said);
  Delivered parent;
  parent.Add(delivered);
  parent.Add(delivered);
  EXPECT_EQ(parent.counts(), (Counts{{{"Say", "file"}, 4}, {{"Say", "other"}, 2}}));
}

// TRUST(worker)
TEST(DeliveredTest, WhatTheServiceDoesNotHaveIsCountedAndNotRepeated) {
  google::protobuf::RepeatedPtrField<v1::Delivery> said;
  Say("NoSuchMethod", "file", 1, said);
  Say("Say", "\x1b[31mred\n", 2, said);
  Say("Say", std::string(10'000, 'x'), 4, said);
  Delivered delivered;
  delivered.Add(Service(), said);
  EXPECT_EQ(delivered.counts(), (Counts{{{"", ""}, 7}}));
}

// TRUST(worker)
TEST(DeliveredTest, IsBoundedWhateverIsSaid) {
  Delivered delivered;
  for (int i = 0; i < 1000; ++i) {
    google::protobuf::RepeatedPtrField<v1::Delivery> said;
    Say("Say", absl::StrCat("field", i), std::numeric_limits<uint64_t>::max(), said);
    delivered.Add(Service(), said);
  }
  EXPECT_LE(delivered.counts().size(), Delivered::kMostSources + 1);
  EXPECT_EQ(delivered.counts().at({"", ""}), std::numeric_limits<uint64_t>::max());
}

}  // namespace
}  // namespace capbroker::broker
