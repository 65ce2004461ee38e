#include "cli/learned_policy.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace capbroker::cli {
namespace {

v1::AuditEvent Learned(const std::string& field, const std::string& name) {
  v1::AuditEvent event;
  event.set_kind(v1::AuditEvent::LEARNED);
  v1::AuditEvent::Value* const value = event.add_values();
  value->set_field(field);
  value->set_value(name);
  return event;
}

class LearnedPolicyTest : public ::testing::Test {
 protected:
  void Use(const std::string& field, const std::string& name) {
    learned_.Add(Learned(field, name));
  }
  std::string Text() const { return learned_.ToText(told_); }

  LearnedPolicy learned_;
  run::v1::RunPolicy told_;
};

TEST_F(LearnedPolicyTest, GrantsWhatWasUsedAndNoMore) {
  Use("files.read", "/srv/a");
  Use("files.write", "/srv/b");
  Use("files.look", "/srv");
  EXPECT_EQ(Text(), "read: \"/srv/a\"\nwrite: \"/srv/b\"\n");
}

TEST_F(LearnedPolicyTest, GrantsTheDirectoryOfWhatWasCreated) {
  Use("files.create", "/srv/out/new");
  Use("files.write", "/srv/out/new");
  Use("files.read", "/srv/out/old");
  Use("files.look", "/srv/other");
  EXPECT_EQ(Text(), "read: \"/srv/other\"\nwrite: \"/srv/out\"\n");
}

TEST_F(LearnedPolicyTest, DoesNotTakeASiblingForAChild) {
  Use("files.create", "/srv/out/new");
  Use("files.read", "/srv/outer");
  EXPECT_EQ(Text(), "read: \"/srv/outer\"\nwrite: \"/srv/out\"\n");
}

TEST_F(LearnedPolicyTest, KeepsADirectoryThatWasListed) {
  Use("files.read", "/srv");
  Use("files.read", "/srv/a");
  EXPECT_EQ(Text(), "read: \"/srv\"\n");
}

TEST_F(LearnedPolicyTest, GrantsTheDirectoryWhereThereAreManyFiles) {
  for (int i = 0; i < 60; ++i) Use("files.read", absl::StrCat("/srv/many/", i));
  Use("files.read", "/etc/hosts");
  EXPECT_EQ(Text(), "read: \"/etc/hosts\"\nread: \"/srv/many\"\n");
}

TEST_F(LearnedPolicyTest, NeverGrantsTheRootForThat) {
  for (int i = 0; i < 60; ++i) Use("files.read", absl::StrCat("/", i));
  EXPECT_EQ(learned_.Policy(told_).read_size(), 60);
}

TEST_F(LearnedPolicyTest, KeepsWhatTheRunWasTold) {
  told_.add_environment("HOME");
  told_.add_run("/usr/bin/true");
  told_.add_read("/not/used");
  Use("files.read", "/srv/a");
  EXPECT_EQ(Text(), "read: \"/srv/a\"\nrun: \"/usr/bin/true\"\nenvironment: \"HOME\"\n");
}

TEST_F(LearnedPolicyTest, GrantsServersWhereTheyWere) {
  told_.add_listen("*:*");
  Use("listeners", "127.0.0.1:8080");
  Use("listeners", "[::1]:0");
  Use("listeners", "*:80");
  EXPECT_EQ(Text(), "listen: \"*:80\"\nlisten: \"127.0.0.1:8080\"\nlisten: \"[::1]:0\"\n");
}

TEST_F(LearnedPolicyTest, SaysWhatItDoesNotKnow) {
  v1::AuditEvent left_out;
  left_out.set_kind(v1::AuditEvent::LEFT_OUT);
  left_out.set_left_out(v1::AuditEvent::LEARNED);
  left_out.set_count(7);
  learned_.Add(left_out);
  EXPECT_EQ(Text(), "# 7 more names were not recorded\n");
}

}  // namespace
}  // namespace capbroker::cli
