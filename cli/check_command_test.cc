#include "cli/check_command.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker::cli {
namespace {

using sandbox::HostFacts;
using sandbox::Layer;
using ::testing::HasSubstr;

HostFacts Container() {
  HostFacts facts;
  facts.kernel_release = "6.1.0";
  facts.landlock_abi = 2;
  facts.cgroup = "/user.slice";
  facts.not_delegated = "/sys/fs/cgroup/user.slice: not delegated: somebody else's";
  facts.seccomp_actions = {"errno", "user_notif"};
  facts.offered = sandbox::kRequired.With(Layer::kViolationReports).With(Layer::kLandlock);
  for (int i = 0; i < sandbox::kLayerCount; ++i) {
    const Layer layer = static_cast<Layer>(i);
    if (!facts.offered.Has(layer)) {
      facts.forbidden[layer] =
          "user namespace: Operation not permitted; user.max_user_namespaces=0";
    }
  }
  return facts;
}

google::protobuf::Struct Parse(const std::string& json) {
  google::protobuf::Struct object;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &object).ok()) << json;
  return object;
}

TEST(CheckCommandTest, SaysWhatIsMissingWhyAndHowToGetIt) {
  const std::string text = DescribeHost(Container());
  EXPECT_THAT(text, HasSubstr("  yes  landlock\n"));
  EXPECT_THAT(text, HasSubstr("  no   mount namespace\n"));
  EXPECT_THAT(text, HasSubstr("because  user namespace: Operation not permitted"));
  EXPECT_THAT(text, HasSubstr("needs    sysctl user.max_user_namespaces=10000"));
  EXPECT_THAT(text, HasSubstr("not delegated"));
  EXPECT_THAT(text, HasSubstr("Workers start here."));
}

TEST(CheckCommandTest, SaysThatNoWorkerStartsBelowTheFloor) {
  HostFacts facts = Container();
  facts.offered = facts.offered.Without(Layer::kLandlock);
  facts.forbidden[Layer::kLandlock] = "the kernel has no Landlock";
  EXPECT_THAT(DescribeHost(facts), HasSubstr("No worker starts here."));
  EXPECT_THAT(facts.CheckFloor().message(), HasSubstr("the kernel has no Landlock"));
  EXPECT_FALSE(Parse(DescribeHostInJson(facts)).fields().at("workers_start").bool_value());
}

TEST(CheckCommandTest, JsonHasEveryLayer) {
  const google::protobuf::Struct host = Parse(DescribeHostInJson(Container()));
  EXPECT_EQ(host.fields().at("landlock_abi").number_value(), 2);
  EXPECT_TRUE(host.fields().at("workers_start").bool_value());
  EXPECT_EQ(host.fields().at("seccomp_actions").list_value().values_size(), 2);
  EXPECT_FALSE(host.fields().at("cgroup_delegated").bool_value());
  EXPECT_THAT(host.fields().at("cgroup_because").string_value(), HasSubstr("somebody else's"));
  const auto& layers = host.fields().at("layers").list_value();
  ASSERT_EQ(layers.values_size(), sandbox::kLayerCount);
  for (const auto& layer : layers.values()) {
    const auto& fields = layer.struct_value().fields();
    EXPECT_NE(fields.at("in_force").bool_value(), fields.contains("because"))
        << layer.DebugString();
  }
}

TEST(CheckCommandTest, SaysWhatSupervisorsCannotDo) {
  HostFacts facts = Container();
  const auto tells = [&facts](const char* line, bool complete, bool sees) {
    EXPECT_THAT(DescribeHost(facts), HasSubstr(std::string("  supervisors  ") + line));
    const google::protobuf::Struct host = Parse(DescribeHostInJson(facts));
    EXPECT_EQ(host.fields().at("supervisors_complete").bool_value(), complete);
    EXPECT_EQ(host.fields().at("supervisors_see_open_files").bool_value(), sees);
  };
  tells("no connections, no names relative to directories: pidfd_getfd is forbidden, and", false,
        false);
  facts.descriptor_sight = sandbox::DescriptorSight::kHandles;
  tells("no connections: pidfd_getfd is forbidden\n", false, true);
  // A root of its own has no /proc.
  facts.offered = facts.offered.With(Layer::kMountNamespace);
  tells("no connections, no names relative to directories", false, false);
  facts.descriptor_sight = sandbox::DescriptorSight::kDuplicates;
  tells("complete\n", true, true);
}

TEST(CheckCommandTest, TellsOfThisHost) {
  std::ostringstream out;
  std::ostringstream errors;
  const int status = RunCheck({}, out, errors);
  EXPECT_THAT(out.str(), HasSubstr(status == 0 ? "Workers start here." : "No worker starts here."));
  EXPECT_THAT(out.str(), HasSubstr("  yes  no new privileges\n"));
  EXPECT_EQ(errors.str(), "");
}

TEST(CheckCommandTest, RefusesWhatItDoesNotKnow) {
  std::ostringstream out;
  std::ostringstream errors;
  EXPECT_EQ(RunCheck({"--jsn"}, out, errors), 2);
  EXPECT_THAT(errors.str(), HasSubstr("usage: capbroker check"));
  EXPECT_EQ(out.str(), "");
}

}  // namespace
}  // namespace capbroker::cli
