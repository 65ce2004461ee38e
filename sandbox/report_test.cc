#include "sandbox/report.h"

#include <linux/audit.h>

#include <cstring>
#include <string>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::HasSubstr;

std::string Packet(const Report& report) {
  return std::string(reinterpret_cast<const char*>(&report), sizeof report);
}

Report Violation() {
  Report report;
  report.kind = Report::Kind::kViolation;
  report.architecture = AuditArchitecture(kNativeArchitecture);
  report.system_call = *SystemCallNumber("ptrace", kNativeArchitecture);
  report.arguments[0] = 0x10;
  report.instruction = 0x7f00;
  return report;
}

TEST(ReportTest, ParsesWhatWasSent) {
  ASSERT_OK_AND_ASSIGN(Report parsed, ParseReport(Packet(Violation())));
  EXPECT_EQ(parsed.kind, Report::Kind::kViolation);
  EXPECT_EQ(parsed.arguments[0], 0x10u);
}

TEST(ReportTest, RefusesPacketsThatAreNotExactlyAReport) {
  const std::string packet = Packet(Violation());
  EXPECT_THAT(ParseReport(""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseReport(packet.substr(1)), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseReport(packet + "x"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ReportTest, RefusesValuesOutOfRange) {
  const auto with = [](auto change) {
    Report report = Violation();
    change(report);
    return ParseReport(Packet(report)).status().code();
  };
  const absl::StatusCode refused = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(with([](Report&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(with([](Report& r) { r.magic = 0; }), refused);
  EXPECT_EQ(with([](Report& r) { r.kind = static_cast<Report::Kind>(0); }), refused);
  EXPECT_EQ(with([](Report& r) { r.kind = static_cast<Report::Kind>(6); }), refused);
  EXPECT_EQ(with([](Report& r) { r.step = static_cast<Step>(-1); }), refused);
  EXPECT_EQ(with([](Report& r) { r.step = static_cast<Step>(kStepCount); }), refused);
  EXPECT_EQ(with([](Report& r) { r.step = Step::kTable; }), refused);
  EXPECT_EQ(with([](Report& r) { r.kind = Report::Kind::kStartFailed; }), refused);
  EXPECT_EQ(with([](Report& r) { r.layers = 0x80000000; }), refused);
  EXPECT_EQ(with([](Report& r) { r.error_number = -1; }), refused);
  EXPECT_EQ(with([](Report& r) { r.exit_code = 256; }), refused);
  EXPECT_EQ(with([](Report& r) { r.signal = 65; }), refused);
}

TEST(ReportTest, NamesTheCallOnlyWhereItsNumberMeansIt) {
  Report report = Violation();
  EXPECT_THAT(DescribeReport(report), HasSubstr("ptrace(0x10, 0"));
  EXPECT_THAT(DescribeReport(report), HasSubstr("at 0x7f00"));
  report.architecture = AUDIT_ARCH_I386;
  EXPECT_THAT(DescribeReport(report), HasSubstr("of architecture 0x40000003"));
  report.system_call = 5;  // open there, fstat here
  EXPECT_EQ(ViolatedCall(report), "call 5 of architecture 0x40000003");
  report.architecture = AUDIT_ARCH_X86_64;
  report.system_call = 1000;
  EXPECT_EQ(ViolatedCall(report), "call 1000");
}

TEST(ReportTest, NamesEveryStepAndLayer) {
  for (int step = 0; step < kStepCount; ++step) {
    EXPECT_NE(StepName(static_cast<Step>(step)), "unknown step") << step;
  }
  for (int layer = 0; layer < kLayerCount; ++layer) {
    EXPECT_NE(LayerName(static_cast<Layer>(layer)), "unknown layer") << layer;
  }
  EXPECT_EQ(LayerSet().ToString(), "none");
  EXPECT_EQ((LayerSet{Layer::kLandlock, Layer::kSystemCallTable}).ToString(),
            "system call table, landlock");
}

}  // namespace
}  // namespace capbroker::sandbox
