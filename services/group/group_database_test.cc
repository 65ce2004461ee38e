// The GroupDatabase service against a database of the test's own: the test runs
// itself again with nss_wrapper(1) in the place of the host's sources.
#include "services/group/group_database.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/group/group_client.h"
#include "services/group/group_limits.h"
#include "services/group/group_source.h"
#include "serving/fake_call.h"

namespace capbroker::group {
namespace {

using ::capbroker::testing::StatusIs;
using ::grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kSmallGroups[] =
    "root:x:0:\n"
    "audio:x:29:alice,bob\n"
    "video:x:44:carol\n"
    "empty:x:45:\n"
    "twin1:x:500:alice\n"
    "twin2:x:500:bob\n"
    "latin\xe9:x:501:ren\xe9\n"
    "last:x:4294967294:\n";

// More than one group of a full buffer: 5,000 and 200,000 members.
// nss_wrapper takes quadratic time for the members of a group: large groups are made of long
// names (`padding` bytes more than "member1"), not of many.
std::string LargeGroup(const char* name, int id, int members, size_t padding = 0) {
  std::string line = absl::StrCat(name, ":x:", id, ":");
  const std::string rest(padding, 'x');
  for (int i = 0; i < members; ++i) absl::StrAppend(&line, i == 0 ? "" : ",", "member", i, rest);
  return line + "\n";
}

const authority::ServiceSchema& Schema() {
  static const authority::ServiceSchema* const schema =
      authority::ServiceSchema::Compile(
          *v1::GroupDatabaseLimits::descriptor()->file()->FindServiceByName("GroupDatabase"))
          .value()
          .release();
  return *schema;
}

// The service with the limits that the test has set, on a gRPC server: every call
// passes the generic checker first.
class CheckedService : public GroupDatabaseService {
 public:
  void SetLimits(const v1::GroupDatabaseLimits& limits) {
    limits_ = authority::Limits::Compile(Schema(), limits).value();
  }

  grpc::Status GetGroupByName(grpc::ServerContext* context,
                              const v1::GetGroupByNameRequest* request,
                              v1::GetGroupByNameResponse* response) override {
    if (grpc::Status refused = Check("GetGroupByName", *request); !refused.ok()) return refused;
    serving::FakeCall call(limits_);
    const serving::CallScope scope(context, &call);
    return GroupDatabaseService::GetGroupByName(context, request, response);
  }
  grpc::Status GetGroupById(grpc::ServerContext* context, const v1::GetGroupByIdRequest* request,
                            v1::GetGroupByIdResponse* response) override {
    if (grpc::Status refused = Check("GetGroupById", *request); !refused.ok()) return refused;
    serving::FakeCall call(limits_);
    const serving::CallScope scope(context, &call);
    return GroupDatabaseService::GetGroupById(context, request, response);
  }
  grpc::Status ListGroups(grpc::ServerContext* context, const v1::ListGroupsRequest* request,
                          grpc::ServerWriter<v1::ListGroupsResponse>* writer) override {
    if (grpc::Status refused = Check("ListGroups", *request); !refused.ok()) return refused;
    serving::FakeCall call(limits_);
    const serving::CallScope scope(context, &call);
    return GroupDatabaseService::ListGroups(context, request, writer);
  }

 private:
  grpc::Status Check(absl::string_view method, const google::protobuf::Message& request) {
    const auto refusal = limits_->Check(*Schema().FindMethod(method), request);
    if (!refusal.has_value()) return grpc::Status::OK;
    return grpc::Status(StatusCode::PERMISSION_DENIED,
                        absl::StrCat("name:", refusal->denial.field()));
  }
  std::shared_ptr<const authority::Limits> limits_;
};

class GroupDatabaseTest : public ::testing::Test {
 protected:
  GroupDatabaseTest() {
    WriteGroups(kSmallGroups);
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::GroupDatabase::NewStub(server_->InProcessChannel({}));
    service_.SetLimits(LimitsForEveryGroup());
  }
  static void WriteGroups(const std::string& groups) {
    // nss_wrapper reads the file again when its modification time changes.
    const std::string path = getenv("NSS_WRAPPER_GROUP");
    const std::string next = path + ".next";
    std::ofstream(next, std::ios::binary) << groups;
    static int generation = 0;
    const timespec time = {1'000'000'000 + ++generation, 0};
    const timespec times[] = {time, time};
    ASSERT_EQ(utimensat(AT_FDCWD, next.c_str(), times, 0), 0);
    ASSERT_EQ(rename(next.c_str(), path.c_str()), 0);
  }
  Groups groups() { return Groups(*stub_, absl::Seconds(30)); }
  static std::vector<std::string> Names(const std::vector<v1::Group>& groups) {
    std::vector<std::string> names;
    for (const v1::Group& group : groups) names.push_back(group.name());
    return names;
  }

  CheckedService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::GroupDatabase::Stub> stub_;
};

TEST_F(GroupDatabaseTest, FindsByNameAndById) {
  for (const auto& result : {groups().FindByName("audio"), groups().FindById(29)}) {
    ASSERT_OK(result);
    EXPECT_EQ(result->name(), "audio");
    EXPECT_EQ(result->id(), 29u);
    EXPECT_THAT(result->members().names(), ElementsAre("alice", "bob"));
  }
  ASSERT_OK_AND_ASSIGN(const v1::Group last, groups().FindByName("last"));
  EXPECT_EQ(last.id(), 4294967294u);
}

TEST_F(GroupDatabaseTest, AnEmptyGroupHasMembersWhichAreNone) {
  ASSERT_OK_AND_ASSIGN(const v1::Group group, groups().FindByName("empty"));
  EXPECT_TRUE(group.has_members());
  EXPECT_THAT(group.members().names(), IsEmpty());
}

TEST_F(GroupDatabaseTest, TellsAbsentFromDenied) {
  EXPECT_THAT(groups().FindByName("absent"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(groups().FindById(77), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(groups().FindByName(""), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(const auto absent, groups().TryFindByName("absent"));
  EXPECT_FALSE(absent.has_value());
  ASSERT_OK_AND_ASSIGN(const auto present, groups().TryFindById(29));
  EXPECT_TRUE(present.has_value());
  service_.SetLimits(LimitsForGroupNames({"audio"}));
  EXPECT_THAT(groups().FindByName("absent"),
              StatusIs(absl::StatusCode::kPermissionDenied, "name:group_names"));
  EXPECT_THAT(groups().TryFindByName("video"),
              StatusIs(absl::StatusCode::kPermissionDenied, "name:group_names"));
}

TEST_F(GroupDatabaseTest, RemembersNoAbsence) {
  EXPECT_THAT(groups().FindByName("late"), StatusIs(absl::StatusCode::kNotFound));
  WriteGroups(absl::StrCat(kSmallGroups, "late:x:900:\n"));
  EXPECT_OK(groups().FindByName("late"));
}

TEST_F(GroupDatabaseTest, EmptyLimitsGrantNothing) {
  service_.SetLimits({});
  EXPECT_THAT(groups().FindByName("audio"), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(groups().FindById(29), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(groups().List(), StatusIs(absl::StatusCode::kPermissionDenied));
  v1::GroupDatabaseLimits limits = LimitsForEveryGroup();
  limits.clear_group_ids();
  service_.SetLimits(limits);
  EXPECT_THAT(groups().FindByName("audio"),
              StatusIs(absl::StatusCode::kPermissionDenied, "group_ids"));
  ASSERT_OK_AND_ASSIGN(const auto listed, groups().List());
  EXPECT_THAT(listed, IsEmpty());
}

TEST_F(GroupDatabaseTest, DeniesOperationsOutsideTheLimits) {
  service_.SetLimits(LimitsForGroupNames({"audio"}));
  EXPECT_OK(groups().FindByName("audio"));
  EXPECT_THAT(groups().FindById(29),
              StatusIs(absl::StatusCode::kPermissionDenied, "name:operations"));
  EXPECT_THAT(groups().List(), StatusIs(absl::StatusCode::kPermissionDenied, "name:operations"));
  service_.SetLimits(LimitsForGroupIds({29}));
  EXPECT_OK(groups().FindById(29));
  EXPECT_THAT(groups().FindById(44),
              StatusIs(absl::StatusCode::kPermissionDenied, "name:group_ids"));
  EXPECT_THAT(groups().FindByName("audio"),
              StatusIs(absl::StatusCode::kPermissionDenied, "name:operations"));
}

// object-checked-after-look: the name is allowed, and what it names is not.
TEST_F(GroupDatabaseTest, DeniesAGroupWhoseOtherKeyIsNotAllowed) {
  v1::GroupDatabaseLimits limits = LimitsForEveryGroup();
  limits.clear_group_ids();
  limits.add_group_ids("44");
  service_.SetLimits(limits);
  EXPECT_THAT(groups().FindByName("audio"),
              StatusIs(absl::StatusCode::kPermissionDenied, "group_ids"));
  EXPECT_OK(groups().FindByName("video"));
  limits.clear_group_names();
  limits.add_group_names("audio");
  service_.SetLimits(limits);
  EXPECT_THAT(groups().FindById(44), StatusIs(absl::StatusCode::kPermissionDenied, "group_names"));
}

TEST_F(GroupDatabaseTest, AHiddenFieldIsAbsent) {
  for (v1::GroupField field : {v1::GROUP_FIELD_NAME, v1::GROUP_FIELD_ID, v1::GROUP_FIELD_MEMBERS}) {
    v1::GroupDatabaseLimits limits = LimitsForEveryGroup();
    limits.clear_fields();
    limits.add_fields(field);
    service_.SetLimits(limits);
    ASSERT_OK_AND_ASSIGN(const v1::Group group, groups().FindByName("audio"));
    EXPECT_EQ(group.has_name(), field == v1::GROUP_FIELD_NAME);
    EXPECT_EQ(group.has_id(), field == v1::GROUP_FIELD_ID);
    EXPECT_EQ(group.has_members(), field == v1::GROUP_FIELD_MEMBERS);
  }
}

TEST_F(GroupDatabaseTest, OfTwoGroupsWithOneIdTellsTheFirst) {
  ASSERT_OK_AND_ASSIGN(const v1::Group group, groups().FindById(500));
  EXPECT_EQ(group.name(), "twin1");
  // Where the first is not allowed, the second is not told in its place.
  v1::GroupDatabaseLimits limits = LimitsForEveryGroup();
  limits.clear_group_names();
  limits.add_group_names("twin2");
  service_.SetLimits(limits);
  EXPECT_THAT(groups().FindById(500), StatusIs(absl::StatusCode::kPermissionDenied, "group_names"));
  EXPECT_OK(groups().FindByName("twin2"));
}

TEST_F(GroupDatabaseTest, RefusesANameWithANul) {
  EXPECT_THAT(groups().FindByName(std::string("audio\0x", 7)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(GroupDatabaseTest, TellsNamesThatAreNotUtf8) {
  ASSERT_OK_AND_ASSIGN(const v1::Group group, groups().FindById(501));
  EXPECT_EQ(group.name(), "latin\xe9");
  EXPECT_THAT(group.members().names(), ElementsAre("ren\xe9"));
}

TEST_F(GroupDatabaseTest, FindsAGroupWithManyMembers) {
  WriteGroups(absl::StrCat(kSmallGroups, LargeGroup("crowd", 600, 5000), "after:x:601:\n"));
  ASSERT_OK_AND_ASSIGN(const v1::Group group, groups().FindByName("crowd"));
  EXPECT_THAT(group.members().names(), SizeIs(5000));
  EXPECT_EQ(group.members().names(4999), "member4999");
  ASSERT_OK_AND_ASSIGN(const auto listed, groups().List());
  EXPECT_THAT(Names(listed), ElementsAre("root", "audio", "video", "empty", "twin1", "twin2",
                                         "latin\xe9", "last", "crowd", "after"));
}

TEST_F(GroupDatabaseTest, RefusesAGroupThatIsTooLarge) {
  WriteGroups(absl::StrCat(kSmallGroups, LargeGroup("monster", 600, 9000, 120)));
  EXPECT_THAT(groups().FindByName("monster"), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(groups().List(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_OK(groups().FindByName("audio"));
}

TEST_F(GroupDatabaseTest, ListsTheGroupsThatAreAllowedAndSkipsTheOthers) {
  v1::GroupDatabaseLimits limits = LimitsForEveryGroup();
  limits.clear_group_names();
  for (const char* name : {"audio", "video", "twin2", "absent"}) limits.add_group_names(name);
  limits.clear_group_ids();
  for (const char* id : {"29", "500"}) limits.add_group_ids(id);
  service_.SetLimits(limits);
  ASSERT_OK_AND_ASSIGN(const auto listed, groups().List());
  EXPECT_THAT(Names(listed), ElementsAre("audio", "twin2"));
  EXPECT_THAT(groups().List(1), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(GroupDatabaseTest, ListsThatRunAtTheSameTimeDoNotDisturbEachOther) {
  std::string many;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&many, "group", i, ":x:", 1000 + i, ":\n");
  WriteGroups(many);
  // One that has begun and is not read on, and a change of the database.
  grpc::ClientContext context;
  const auto slow = stub_->ListGroups(&context, v1::ListGroupsRequest());
  v1::ListGroupsResponse batch;
  ASSERT_TRUE(slow->Read(&batch));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j) {
        const auto listed = groups().List();
        ASSERT_OK(listed);
        ASSERT_EQ(listed->size(), 1000u);
        for (int k = 0; k < 1000; ++k) ASSERT_EQ((*listed)[k].id(), 1000u + k);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  WriteGroups(kSmallGroups);
  int told = batch.groups_size();
  while (slow->Read(&batch)) told += batch.groups_size();
  EXPECT_TRUE(slow->Finish().ok());
  EXPECT_EQ(told, 1000);
}

TEST_F(GroupDatabaseTest, AListThatWaitsForItsTurnCanBeCancelled) {
  std::atomic<bool> cancelled = false;
  std::thread other;
  EXPECT_OK(VisitGroups([] { return false; },
                        [&](const GroupRecord&) {
                          other = std::thread([&] {
                            EXPECT_THAT(VisitGroups([&] { return cancelled.load(); },
                                                    [](const GroupRecord&) { return true; }),
                                        StatusIs(absl::StatusCode::kCancelled));
                          });
                          cancelled = true;
                          other.join();
                          return false;
                        }));
}

TEST_F(GroupDatabaseTest, RefusesAListThatIsTooLarge) {
  std::string large;
  for (int i = 0; i < 40; ++i) {
    large += LargeGroup(absl::StrCat("g", i).c_str(), 2000 + i, 4000, 120);
  }
  WriteGroups(large);
  EXPECT_THAT(groups().List(), StatusIs(absl::StatusCode::kResourceExhausted));
  // What the limits leave out does not count.
  v1::GroupDatabaseLimits limits = LimitsForEveryGroup();
  limits.clear_fields();
  limits.add_fields(v1::GROUP_FIELD_NAME);
  service_.SetLimits(limits);
  ASSERT_OK_AND_ASSIGN(const auto listed, groups().List());
  EXPECT_THAT(listed, SizeIs(40));
}

TEST(GroupLimitsTest, EveryHelperCompiles) {
  for (const v1::GroupDatabaseLimits& limits :
       {LimitsForGroupNames({"audio"}), LimitsForGroupIds({0, 4294967295u}),
        LimitsForEveryGroup()}) {
    EXPECT_OK(authority::Limits::Compile(Schema(), limits));
  }
}

}  // namespace
}  // namespace capbroker::group

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (getenv("NSS_WRAPPER_GROUP") == nullptr) {
    const std::string directory = ::testing::TempDir();
    for (const char* name : {"passwd", "group"}) {
      std::ofstream(absl::StrCat(directory, "/nss_", name)) << "root:x:0:0:root:/:/bin/sh\n";
    }
    setenv("NSS_WRAPPER_PASSWD", absl::StrCat(directory, "/nss_passwd").c_str(), 1);
    setenv("NSS_WRAPPER_GROUP", absl::StrCat(directory, "/nss_group").c_str(), 1);
    setenv("LD_PRELOAD", "libnss_wrapper.so", 1);
    // A sanitizer's runtime is not the first library then.
    const char* const asan = getenv("ASAN_OPTIONS");
    setenv("ASAN_OPTIONS", absl::StrCat(asan ? asan : "", ":verify_asan_link_order=0").c_str(), 1);
    execv("/proc/self/exe", argv);
    return 2;
  }
  return RUN_ALL_TESTS();
}
