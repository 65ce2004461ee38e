// Every attack in a forked worker of a real broker, on every kind of host, and without confinement.
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "sandbox/layers/layers.h"
#include "tests/hostile_worker/broker_arena.h"
#include "tests/hostile_worker/control.h"
#include "tests/hostile_worker/hosts.h"
#include "tests/hostile_worker/installed_copy.h"
#include "tests/hostile_worker/sandbox_arena.h"
#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {
namespace {

// What its filter refuses never comes to ours.
constexpr char kByTheContainer[] = " or EPERM or ENOSYS";

enum class Kind { kForked, kExecuted, kSupervised, kRun, kRunWithProcesses, kRunServing };

struct Setting {
  std::string name;
  bool (*enter)();
  std::function<std::unique_ptr<Arena>()> make;
  // A layer that it must not have, and one that it must; empty: none.
  std::string missing, present;
  Kind kind = Kind::kForked;
  // Also what does not depend on the worker's layers: services, and bounds that take their time.
  bool complete = false;
};

std::vector<Setting> MakeSettings() {
  using sandbox::Layer;
  using sandbox::LayerSet;
  std::vector<Setting> settings = {
      {"Root", AsRoot, ForkedWorkers, "", "unprivileged uid", Kind::kForked, true},
      {"User", AsOrdinaryUser, ForkedWorkers, "unprivileged uid", "user namespace", Kind::kForked,
       true},
      {"RootSpare", AsRoot, SpareWorkers, "", "unprivileged uid"},
      {"UserSpare", AsOrdinaryUser, SpareWorkers, "unprivileged uid", "user namespace"},
      {"UserSpareWithoutUserNamespaces", AsOrdinaryUserWithoutUserNamespaces, SpareWorkers,
       "pid namespace", "landlock"},
      {"RootWithoutUserNamespaces", AsRootWithoutUserNamespaces, ForkedWorkers, "user namespace",
       "pid namespace"},
      {"UserWithoutUserNamespaces", AsOrdinaryUserWithoutUserNamespaces, ForkedWorkers,
       "pid namespace", "landlock"},
      {"UserWithoutLandlock", AsOrdinaryUserWithoutLandlock, ForkedWorkers, "landlock",
       "user namespace"},
      {"RootWithoutReports", AsRootWithoutReports, ForkedWorkers, "violation reports",
       "user namespace"},
      {"RootInDocker", AsRootInDocker, ForkedWorkers, "user namespace", "unprivileged uid"},
      {"RootInDockerRun", AsRootInDocker, RunWorkers, "mount namespace", "landlock", Kind::kRun},
      {"UserInDocker", AsOrdinaryUserInDocker, ForkedWorkers, "user namespace", "landlock"},
      {"UserInDockerRun", AsOrdinaryUserInDocker, RunWorkers, "mount namespace", "landlock",
       Kind::kRun},
      {"RootExecuted", AsRoot, ExecutedWorkers, "", "unprivileged uid", Kind::kExecuted},
      {"UserExecutedWithoutUserNamespaces", AsOrdinaryUserWithoutUserNamespaces, ExecutedWorkers,
       "mount namespace", "landlock", Kind::kExecuted},
      {"UserExecutedWithoutLandlock", AsOrdinaryUserWithoutLandlock, ExecutedWorkers, "landlock",
       "mount namespace", Kind::kExecuted},
      {"RootSupervised", AsRoot, SupervisedWorkers, "", "landlock", Kind::kSupervised},
      {"UserSupervisedWithoutUserNamespaces", AsOrdinaryUserWithoutUserNamespaces,
       SupervisedWorkers, "mount namespace", "landlock", Kind::kSupervised},
      {"RootRun", AsRoot, RunWorkers, "", "unprivileged uid", Kind::kRun},
      {"UserRunWithoutUserNamespaces", AsOrdinaryUserWithoutUserNamespaces, RunWorkers,
       "mount namespace", "landlock", Kind::kRun},
      {"UserRunWithProcesses", AsOrdinaryUser, RunWorkersWithProcesses, "unprivileged uid",
       "user namespace", Kind::kRunWithProcesses},
      {"RootRunServing", AsRoot, RunServingWorkers, "", "unprivileged uid", Kind::kRunServing},
      {"UserRunServingWithoutUserNamespaces", AsOrdinaryUserWithoutUserNamespaces,
       RunServingWorkers, "mount namespace", "landlock", Kind::kRunServing},
  };
  // Layers that no host forbids by itself.
  for (const Layer layer : {Layer::kMountNamespace, Layer::kPidNamespace}) {
    const std::string name(sandbox::LayerName(layer));
    settings.push_back({absl::StrCat("RootWithout_", absl::StrReplaceAll(name, {{" ", "_"}})),
                        AsRoot, [layer] { return WorkersWithout({layer}); }, name, "landlock"});
  }
  return settings;
}

const std::vector<Setting>& Settings() {
  static const auto* const settings = new std::vector<Setting>(MakeSettings());
  return *settings;
}

const char* Stated(const Setting& setting, const Attack& attack) {
  const auto first = [](std::initializer_list<const char*> stated) {
    return *std::find_if(stated.begin(), stated.end(), [](auto text) { return text != nullptr; });
  };
  switch (setting.kind) {
    case Kind::kForked:
      break;
    case Kind::kExecuted:
      return first({attack.executed, attack.refused});
    case Kind::kSupervised:
      return first({attack.supervised, attack.refused});
    case Kind::kRun:
      return first({attack.run_alone, attack.supervised, attack.refused});
    case Kind::kRunWithProcesses:
      return first(
          {attack.run_with_processes, attack.run_alone, attack.supervised, attack.refused});
    case Kind::kRunServing:
      return first({attack.run_serving, attack.run_alone, attack.supervised, attack.refused});
  }
  return attack.refused;
}

void Install(const Setting& setting) {
  if (setting.kind == Kind::kForked || setting.kind == Kind::kSupervised) return;
  SetProgram(InstalledCopy("tests/hostile_worker/hostile_program"));
}

// What each attack came to: by setting and name.
std::map<std::string, std::map<std::string, std::string>>& Outcomes() {
  static auto* const outcomes = new std::map<std::string, std::map<std::string, std::string>>;
  return *outcomes;
}

std::map<std::string, std::unique_ptr<Stage>>& Stages() {
  static auto* const stages = new std::map<std::string, std::unique_ptr<Stage>>;
  return *stages;
}

Stage& StageFor(const Setting& setting, bool anew = false) {
  Install(setting);
  std::unique_ptr<Stage>& stage = Stages()[setting.name];
  if (stage == nullptr || anew) stage = std::make_unique<Stage>(setting.enter, setting.make);
  return *stage;
}

class Finish : public ::testing::Environment {
  void TearDown() override {
    Stages().clear();
    for (const auto& [attack, by_setting] : Outcomes()) {
      absl::PrintF("%-44s", attack);
      for (const auto& [setting, outcome] : by_setting) absl::PrintF(" %s: %s;", setting, outcome);
      absl::PrintF("\n");
    }
  }
};
const ::testing::Environment* const finish = ::testing::AddGlobalTestEnvironment(new Finish);

using SettingAndAttack = std::pair<int, int>;

bool IsSlow(const Attack& attack) {
  return attack.wall_milliseconds < Attack().wall_milliseconds ||
         attack.cpu_seconds < Attack().cpu_seconds;
}

std::vector<SettingAndAttack> EachAttackInEachSetting() {
  std::vector<SettingAndAttack> pairs;
  for (size_t setting = 0; setting < Settings().size(); ++setting) {
    for (size_t attack = 0; attack < AllAttacks().size(); ++attack) {
      const bool depends_on_layers = !AllAttacks()[attack].on_lane && !IsSlow(AllAttacks()[attack]);
      if (!depends_on_layers && !Settings()[setting].complete) continue;
      pairs.emplace_back(static_cast<int>(setting), static_cast<int>(attack));
    }
  }
  return pairs;
}

class HostileWorkerTest : public ::testing::TestWithParam<SettingAndAttack> {
 protected:
  const Setting& setting() const { return Settings()[static_cast<size_t>(GetParam().first)]; }
  const Attack& attack() const { return AllAttacks()[static_cast<size_t>(GetParam().second)]; }
};
std::string NameOf(const ::testing::TestParamInfo<SettingAndAttack>& info) {
  return absl::StrCat(Settings()[static_cast<size_t>(info.param.first)].name, "_",
                      AllAttacks()[static_cast<size_t>(info.param.second)].name);
}
INSTANTIATE_TEST_SUITE_P(Attacks, HostileWorkerTest, ::testing::ValuesIn(EachAttackInEachSetting()),
                         NameOf);

// INVARIANT(default-deny)
TEST_P(HostileWorkerTest, IsRefusedByNameAndHarmsNobody) {
  Stage& stage = StageFor(setting());
  if (!stage.can_be_had()) GTEST_SKIP() << "this host cannot be made such";
  const Record record = stage.Play(attack());
  const bool reported = absl::StrContains(stage.layers(), "violation reports");
  Outcomes()[attack().name][setting().name] = record.outcome;
  std::string stated = Stated(setting(), attack());
  if (setting().enter == AsRootInDocker || setting().enter == AsOrdinaryUserInDocker) {
    stated += kByTheContainer;
  }
  EXPECT_TRUE(IsAsStated(record.outcome, stated, reported)) << record.outcome << ", not " << stated;
  // What a right is known not to stop does what it does.
  if (record.outcome != kSucceeded) {
    EXPECT_EQ(record.harm, "");
  }
  if (!record.harm.empty()) StageFor(setting(), /*anew=*/true);
}

class SettingTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Settings, SettingTest,
                         ::testing::Range(0, static_cast<int>(Settings().size())),
                         [](const auto& info) {
                           return Settings()[static_cast<size_t>(info.param)].name;
                         });

TEST_P(SettingTest, HasTheLayersThatItIsNamedFor) {
  const Setting& setting = Settings()[static_cast<size_t>(GetParam())];
  if (!StageFor(setting).can_be_had()) GTEST_SKIP() << "this host cannot be made such";
  const std::string layers = StageFor(setting).layers();
  if (!setting.missing.empty()) {
    EXPECT_FALSE(absl::StrContains(layers, setting.missing)) << layers;
  }
  EXPECT_TRUE(absl::StrContains(layers, setting.present)) << layers;
}

class UnconfinedTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Attacks, UnconfinedTest,
                         ::testing::Range(0, static_cast<int>(AllAttacks().size())),
                         [](const auto& info) {
                           return AllAttacks()[static_cast<size_t>(info.param)].name;
                         });

TEST_P(UnconfinedTest, SucceedsWithoutConfinement) {
  const Attack& attack = AllAttacks()[static_cast<size_t>(GetParam())];
  if (attack.no_control != nullptr) {
    Outcomes()[attack.name]["unconfined"] = attack.no_control;
    return;
  }
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string outcome = MakeUnconfined(attack);
  Outcomes()[attack.name]["unconfined"] = outcome;
  EXPECT_EQ(outcome, kSucceeded);
}

TEST(AttacksTest, AreManyAndEachSaysWhatItIs) {
  EXPECT_GE(AllAttacks().size(), 80u);
  for (const Attack& attack : AllAttacks()) {
    EXPECT_LT(attack.name.size(), sizeof Scene::attack) << attack.name;
    EXPECT_NE(attack.aims_at, nullptr) << attack.name;
    EXPECT_NE(attack.refused, nullptr) << attack.name;
  }
}

}  // namespace
}  // namespace capbroker::hostile
