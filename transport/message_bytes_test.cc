#include "transport/message_bytes.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <atomic>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace capbroker::transport {
namespace {

// Says where it was told to parse, and parses nothing.
class Witness final : public google::protobuf::Message {
 public:
  Witness* New(google::protobuf::Arena*) const override { return new Witness; }
  google::protobuf::Metadata GetMetadata() const override {
    return google::protobuf::BytesValue::default_instance().GetMetadata();
  }
  void Clear() override {}
  bool IsInitialized() const override { return true; }
  int GetCachedSize() const override { return 0; }
  const char* _InternalParse(const char* at, google::protobuf::internal::ParseContext*) override {
    parsed = at;
    return nullptr;
  }
  bool SawAny(const std::string& bytes) const {
    return parsed >= bytes.data() && parsed < bytes.data() + bytes.size();
  }

  const char* parsed = nullptr;
};

google::protobuf::FileDescriptorProto ManyFields() {
  google::protobuf::FileDescriptorProto file;
  google::protobuf::DescriptorProto::descriptor()->file()->CopyTo(&file);
  google::protobuf::FileDescriptorProto many;
  for (int i = 0; i < 5; ++i) many.MergeFrom(file);
  return many;
}

TEST(MessageBytesTest, NoParserSeesMemoryThatThePeerCanWrite) {
  const std::string bytes(100'000, 'x');
  Witness witness;
  EXPECT_FALSE(MessageBytes::Shared(bytes).ParseTo(&witness));
  ASSERT_NE(witness.parsed, nullptr);
  EXPECT_FALSE(witness.SawAny(bytes));
  // What nobody changes is parsed where it is.
  EXPECT_FALSE(MessageBytes(bytes).ParseTo(&witness));
  EXPECT_TRUE(witness.SawAny(bytes));
}

TEST(MessageBytesTest, ParsesTheSameFromSharedMemory) {
  const google::protobuf::FileDescriptorProto sent = ManyFields();
  const std::string bytes = sent.SerializeAsString();
  ASSERT_GT(bytes.size(), 8'192u);
  google::protobuf::FileDescriptorProto parsed;
  parsed.set_name("what was there before");
  EXPECT_TRUE(MessageBytes::Shared(bytes).ParseTo(&parsed));
  EXPECT_EQ(parsed.SerializeAsString(), bytes);
  for (const size_t size : {0u, 1u, 8'190u, 8'192u, 8'194u, 70'000u, 51'000'000u}) {
    google::protobuf::BytesValue value;
    value.set_value(std::string(size, 'x'));
    const std::string serialized = value.SerializeAsString();
    google::protobuf::BytesValue read;
    EXPECT_TRUE(MessageBytes::Shared(serialized).ParseTo(&read)) << size;
    EXPECT_EQ(read.value(), value.value());
  }
}

TEST(MessageBytesTest, AVeryLongStringTakesNoMoreThanItsOwnMemory) {
  google::protobuf::BytesValue value;
  value.set_value(std::string(60'000'000, 'x'));
  const std::string bytes = value.SerializeAsString();
  google::protobuf::BytesValue read;
  ASSERT_TRUE(MessageBytes::Shared(bytes).ParseTo(&read));
  EXPECT_LT(read.value().capacity(), 61'000'000u);
}

TEST(MessageBytesTest, RefusesWhatIsMalformedOrCutOff) {
  google::protobuf::BytesValue value;
  value.set_value(std::string(60'000'000, 'x'));
  std::string bytes = value.SerializeAsString();
  google::protobuf::BytesValue read;
  bytes.pop_back();
  EXPECT_FALSE(MessageBytes::Shared(bytes).ParseTo(&read));
  EXPECT_FALSE(MessageBytes::Shared(bytes.substr(0, 20'000)).ParseTo(&read));
  EXPECT_FALSE(MessageBytes::Shared(std::string(20'000, '\xff')).ParseTo(&read));
}

TEST(MessageBytesTest, WhatAPeerChangesMeanwhileIsOneMessageOrNone) {
  std::string bytes = ManyFields().SerializeAsString();
  std::atomic<bool> done{false};
  std::thread peer([&] {
    volatile char* const at = bytes.data();
    for (unsigned i = 1; !done.load(); i = i * 1'103'515'245 + 12'345) {
      at[(i >> 8) % bytes.size()] = static_cast<char>(i >> 16);
    }
  });
  for (int i = 0; i < 300; ++i) {
    google::protobuf::FileDescriptorProto read;
    if (!MessageBytes::Shared(bytes).ParseTo(&read)) continue;
    google::protobuf::FileDescriptorProto again;
    EXPECT_TRUE(again.ParseFromString(read.SerializeAsString()));
  }
  done.store(true);
  peer.join();
}

}  // namespace
}  // namespace capbroker::transport
