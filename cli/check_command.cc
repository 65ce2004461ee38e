#include "cli/check_command.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"

namespace capbroker::cli {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Struct;
using sandbox::DescriptorSight;
using sandbox::HostFacts;
using sandbox::Layer;

// What to change where a setting forbids namespaces: each is named in the reason.
constexpr struct {
  absl::string_view in_reason;
  absl::string_view remedy;
} kNamespaceRemedies[] = {
    {"user.max_user_namespaces=0", "sysctl user.max_user_namespaces=10000"},
    {"kernel.unprivileged_userns_clone=0", "sysctl kernel.unprivileged_userns_clone=1"},
    {"kernel.apparmor_restrict_unprivileged_userns=1",
     "an AppArmor profile with \"userns,\" for the program"},
    {"a seccomp filter is in force",
     "a container whose seccomp profile allows clone and unshare with namespaces"},
};

// How to get a layer that is forbidden for this reason; empty: nobody knows a way.
std::string RemedyFor(Layer layer, absl::string_view reason) {
  switch (layer) {
    case Layer::kSystemCallTable:
      return "a kernel with CONFIG_SECCOMP_FILTER";
    case Layer::kViolationReports:
      return "a kernel from 5.14 on, and no other sandbox around this one that listens to system "
             "calls";
    case Layer::kLandlock:
      return "a kernel from 5.13 on that has landlock in its list of LSMs (lsm=landlock,... on "
             "its command line)";
    case Layer::kUnprivilegedUid:
    case Layer::kNoSupplementaryGroups:
      return "an application that is started by root";
    default:
      break;
  }
  for (const auto& known : kNamespaceRemedies) {
    if (absl::StrContains(reason, known.in_reason)) return std::string(known.remedy);
  }
  return "";
}

template <typename Function>
void ForEachLayer(const HostFacts& facts, Function function) {
  for (int i = 0; i < sandbox::kLayerCount; ++i) {
    const Layer layer = static_cast<Layer>(i);
    const auto why = facts.forbidden.find(layer);
    const std::string reason = why == facts.forbidden.end() ? "" : why->second;
    function(layer, reason, reason.empty() ? "" : RemedyFor(layer, reason));
  }
}

// What they cannot do, and why.
std::string Supervisors(const HostFacts& facts) {
  switch (facts.SightWith(facts.offered)) {
    case DescriptorSight::kDuplicates:
      return "complete";
    case DescriptorSight::kHandles:
      return "no connections: pidfd_getfd is forbidden";
    case DescriptorSight::kNone:
      break;
  }
  return "no connections, no names relative to directories: pidfd_getfd is forbidden, and workers "
         "have no /proc";
}

std::string CgroupLine(const HostFacts& facts) {
  if (!facts.not_delegated.empty()) {
    return absl::StrCat(
        facts.not_delegated,
        "\n               bounds are limits of each process (capbroker run --cgroup: "
        "of all together)");
  }
  return absl::StrCat(facts.cgroup, ": delegated, with the controllers: ",
                      absl::StrJoin(facts.delegated_controllers, " "));
}

void Set(Struct& object, const char* name, const std::string& text) {
  (*object.mutable_fields())[name].set_string_value(text);
}
void Set(Struct& object, const char* name, bool truth) {
  (*object.mutable_fields())[name].set_bool_value(truth);
}
ListValue& List(Struct& object, const char* name) {
  return *(*object.mutable_fields())[name].mutable_list_value();
}
void Set(Struct& object, const char* name, const std::vector<std::string>& texts) {
  ListValue& list = List(object, name);
  for (const std::string& text : texts) list.add_values()->set_string_value(text);
}

}  // namespace

std::string DescribeHost(const HostFacts& facts) {
  std::string text = absl::StrCat("Linux ", facts.kernel_release, "\n  Landlock     ");
  absl::StrAppend(&text, facts.landlock_abi == 0 ? "none" : "ABI ",
                  facts.landlock_abi == 0 ? "" : absl::StrCat(facts.landlock_abi),
                  "\n  seccomp      ", absl::StrJoin(facts.seccomp_actions, " "),
                  "\n  supervisors  ", Supervisors(facts), "\n  cgroup       ", CgroupLine(facts),
                  "\n\nA worker of this user has\n");
  ForEachLayer(facts, [&](Layer layer, const std::string& reason, const std::string& remedy) {
    absl::StrAppend(&text, facts.offered.Has(layer) ? "  yes  " : "  no   ",
                    sandbox::LayerName(layer), "\n");
    if (!reason.empty()) absl::StrAppend(&text, "         because  ", reason, "\n");
    if (!remedy.empty()) absl::StrAppend(&text, "         needs    ", remedy, "\n");
  });
  const absl::Status floor = facts.CheckFloor();
  absl::StrAppend(&text, "\n", floor.ok() ? "Workers start here." : "No worker starts here.", "\n");
  if (!floor.ok()) absl::StrAppend(&text, floor.message(), "\n");
  return text;
}

std::string DescribeHostInJson(const HostFacts& facts) {
  Struct host;
  Set(host, "kernel", facts.kernel_release);
  (*host.mutable_fields())["landlock_abi"].set_number_value(facts.landlock_abi);
  Set(host, "seccomp_actions", facts.seccomp_actions);
  Set(host, "cgroup", facts.cgroup);
  Set(host, "cgroup_delegated", facts.not_delegated.empty());
  if (!facts.not_delegated.empty()) Set(host, "cgroup_because", facts.not_delegated);
  Set(host, "delegated_controllers", facts.delegated_controllers);
  const DescriptorSight sight = facts.SightWith(facts.offered);
  Set(host, "supervisors_complete", sight == DescriptorSight::kDuplicates);
  Set(host, "supervisors_see_open_files", sight != DescriptorSight::kNone);
  Set(host, "workers_start", facts.CheckFloor().ok());
  ListValue& layers = List(host, "layers");
  ForEachLayer(facts, [&](Layer layer, const std::string& reason, const std::string& remedy) {
    Struct& told = *layers.add_values()->mutable_struct_value();
    Set(told, "name", std::string(sandbox::LayerName(layer)));
    Set(told, "in_force", facts.offered.Has(layer));
    if (!reason.empty()) Set(told, "because", reason);
    if (!remedy.empty()) Set(told, "needs", remedy);
  });
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(host, &json);
  return json + "\n";
}

int RunCheck(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& errors) {
  const bool json = arguments.size() == 1 && arguments[0] == "--json";
  if (!arguments.empty() && !json) {
    errors << "usage: " << kCheckUsage;
    return 2;
  }
  const HostFacts facts = sandbox::ProbeHost();
  out << (json ? DescribeHostInJson(facts) : DescribeHost(facts));
  return facts.CheckFloor().ok() ? 0 : 1;
}

}  // namespace capbroker::cli
