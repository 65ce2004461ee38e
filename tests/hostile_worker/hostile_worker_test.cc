// Every attack in a forked worker of a real broker, on every kind of host, and without confinement.
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "tests/hostile_worker/broker_arena.h"
#include "tests/hostile_worker/control.h"
#include "tests/hostile_worker/hosts.h"
#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {
namespace {

struct Setting {
  const char* name;
  bool (*enter)();
  // A layer that it must not have, and one that it must.
  const char* missing;
  const char* present;
};

constexpr Setting kSettings[] = {
    {"Root", AsRoot, nullptr, "unprivileged uid"},
    {"User", AsOrdinaryUser, "unprivileged uid", "user namespace"},
    {"RootWithoutUserNamespaces", AsRootWithoutUserNamespaces, "user namespace", "pid namespace"},
    {"UserWithoutUserNamespaces", AsOrdinaryUserWithoutUserNamespaces, "pid namespace", "landlock"},
    {"UserWithoutLandlock", AsOrdinaryUserWithoutLandlock, "landlock", "user namespace"},
    {"RootWithoutReports", AsRootWithoutReports, "violation reports", "user namespace"},
};
constexpr int kSettingCount = static_cast<int>(std::size(kSettings));

// What each attack came to: by setting and name.
std::map<std::string, std::map<std::string, std::string>>& Outcomes() {
  static auto* const outcomes = new std::map<std::string, std::map<std::string, std::string>>;
  return *outcomes;
}

class TablePrinter : public ::testing::Environment {
  void TearDown() override {
    for (const auto& [attack, by_setting] : Outcomes()) {
      absl::PrintF("%-44s", attack);
      for (const auto& [setting, outcome] : by_setting) absl::PrintF(" %s: %s;", setting, outcome);
      absl::PrintF("\n");
    }
  }
};
const ::testing::Environment* const table = ::testing::AddGlobalTestEnvironment(new TablePrinter);

Stage& StageFor(const Setting& setting, bool anew = false) {
  static auto* const stages = new std::map<std::string, std::unique_ptr<Stage>>;
  std::unique_ptr<Stage>& stage = (*stages)[setting.name];
  if (stage == nullptr || anew) stage = std::make_unique<Stage>(setting.enter, ForkedWorkers);
  return *stage;
}

using SettingAndAttack = std::tuple<int, int>;
std::string NameOf(const ::testing::TestParamInfo<SettingAndAttack>& info) {
  return std::string(kSettings[std::get<0>(info.param)].name) + "_" +
         AllAttacks()[static_cast<size_t>(std::get<1>(info.param))].name;
}

class HostileWorkerTest : public ::testing::TestWithParam<SettingAndAttack> {};
INSTANTIATE_TEST_SUITE_P(
    Attacks, HostileWorkerTest,
    ::testing::Combine(::testing::Range(0, kSettingCount),
                       ::testing::Range(0, static_cast<int>(AllAttacks().size()))),
    NameOf);

TEST_P(HostileWorkerTest, IsRefusedByNameAndHarmsNobody) {
  const Setting& setting = kSettings[std::get<0>(GetParam())];
  const Attack& attack = AllAttacks()[static_cast<size_t>(std::get<1>(GetParam()))];
  Stage& stage = StageFor(setting);
  if (!stage.can_be_had()) GTEST_SKIP() << "this host cannot be made such";
  const Record record = stage.Play(attack);
  const bool reported = absl::StrContains(stage.layers(), "violation reports");
  Outcomes()[attack.name][setting.name] = record.outcome;
  EXPECT_TRUE(IsAsStated(record.outcome, attack.refused, reported))
      << record.outcome << ", not " << attack.refused;
  EXPECT_EQ(record.harm, "");
  if (!record.harm.empty()) StageFor(setting, /*anew=*/true);
}

class SettingTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Settings, SettingTest, ::testing::Range(0, kSettingCount),
                         [](const auto& info) { return kSettings[info.param].name; });

TEST_P(SettingTest, HasTheLayersThatItIsNamedFor) {
  const Setting& setting = kSettings[GetParam()];
  if (!StageFor(setting).can_be_had()) GTEST_SKIP() << "this host cannot be made such";
  const std::string layers = StageFor(setting).layers();
  if (setting.missing != nullptr) {
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
