// Fixture for tests of the FileOpener service: a directory of the test's own, and
// calls that pass the generic checker before they reach the handler, as they do
// in a service process.
#ifndef SERVICES_FILE_FILE_OPENER_FIXTURE_H_
#define SERVICES_FILE_FILE_OPENER_FIXTURE_H_

#include <grpcpp/server_context.h>
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "base/unique_fd.h"
#include "capbroker/file/v1/file_opener.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/file/file_opener.h"
#include "serving/fake_call.h"

namespace capbroker::file {

// The status of a call that the checker refused has this before the field's name.
inline constexpr absl::string_view kByName = "name:";

const authority::ServiceSchema& FileOpenerSchema();
std::shared_ptr<const authority::Limits> CompileLimits(const v1::FileOpenerLimits& limits);

// What a call gave.
template <typename Response>
struct Answer {
  grpc::Status status;
  Response response;
  std::unique_ptr<serving::FakeCall> call;
  bool ok() const { return status.ok(); }
};

// Refused by the checker, before anything is looked at, because of `field`.
MATCHER_P(IsRefusedByName, field, "") {
  *result_listener << arg.status.error_code() << " " << arg.status.error_message();
  return arg.status.error_code() == grpc::StatusCode::PERMISSION_DENIED &&
         arg.status.error_message() == std::string(kByName) + field;
}
// Refused with OBJECT_REFUSED because of `field`.
MATCHER_P(IsRefusedByObject, field, "") {
  *result_listener << arg.status.error_code() << " " << arg.status.error_message();
  return arg.status.error_code() == grpc::StatusCode::PERMISSION_DENIED &&
         arg.status.error_message() == field;
}
MATCHER_P(HasCode, code, "") {
  *result_listener << arg.status.error_code() << " " << arg.status.error_message();
  return arg.status.error_code() == code;
}
MATCHER(Succeeds, "") {
  *result_listener << arg.status.error_code() << " " << arg.status.error_message();
  return arg.status.ok();
}

class FileOpenerFixture : public ::testing::Test {
 protected:
  FileOpenerFixture();
  ~FileOpenerFixture() override;

  // Paths are relative to the test's directory, unless absolute.
  std::string Path(absl::string_view path) const;
  void MakeDirectory(absl::string_view path, mode_t mode = 0755) const;
  void MakeFile(absl::string_view path, absl::string_view contents, mode_t mode = 0644) const;
  void MakeSymlink(absl::string_view target, absl::string_view path) const;

  // Everything about a directory of the test, for reading and writing. `trusted`:
  // whether the application named it.
  v1::FileOpenerLimits Everything(absl::string_view path, bool trusted = true) const;
  static std::shared_ptr<const authority::Limits> Compile(const v1::FileOpenerLimits& limits) {
    return CompileLimits(limits);
  }

  Answer<v1::OpenResponse> Open(const v1::FileOpenerLimits& limits, absl::string_view path,
                                v1::Access access = v1::ACCESS_READ);
  Answer<v1::OpenManyResponse> OpenMany(const v1::FileOpenerLimits& limits,
                                        const std::vector<std::string>& paths,
                                        v1::Access access = v1::ACCESS_READ);
  Answer<v1::CreateResponse> Create(const v1::FileOpenerLimits& limits, absl::string_view path,
                                    v1::Access access = v1::ACCESS_WRITE, uint32_t mode = 0600);
  Answer<v1::ReadResponse> Read(const v1::FileOpenerLimits& limits, absl::string_view path,
                                uint64_t offset = 0, uint32_t size = 0);
  Answer<v1::WriteResponse> Write(const v1::FileOpenerLimits& limits, absl::string_view path,
                                  v1::Access access, uint64_t offset, const std::string& content);
  Answer<v1::StatResponse> Stat(const v1::FileOpenerLimits& limits, absl::string_view path,
                                bool no_follow = false);
  Answer<v1::ReadLinkResponse> ReadLink(const v1::FileOpenerLimits& limits, absl::string_view path);
  Answer<v1::RealPathResponse> RealPath(const v1::FileOpenerLimits& limits, absl::string_view path);
  Answer<v1::ListDirectoryPageResponse> ListDirectoryPage(const v1::FileOpenerLimits& limits,
                                                          absl::string_view path,
                                                          const std::string& after,
                                                          uint32_t max_entries);
  Answer<v1::OpenDirectoryResponse> OpenDirectory(const v1::FileOpenerLimits& limits,
                                                  absl::string_view path);

  // What the file of a successful call holds, up to 64 KiB.
  template <typename Response>
  static std::string Contents(Answer<Response>& answer) {
    return ReadAll(answer.call->TakeSent(answer.response.file()));
  }
  static std::string ReadAll(UniqueFd fd);
  static int StatusFlags(FdRef fd);
  static int CountDescriptors();

  // Makes the service anew, as a process that was started again does.
  void MakeService() { service_ = std::make_unique<FileOpenerService>(); }

 private:
  template <typename Request, typename Response>
  Answer<Response> Run(absl::string_view method,
                       grpc::Status (FileOpenerService::*handler)(grpc::ServerContext*,
                                                                  const Request*, Response*),
                       const v1::FileOpenerLimits& limits, const Request& request);

  std::unique_ptr<FileOpenerService> service_;
  std::string directory_;
};

// Runs `body` in a child process without capabilities, so that permissions bind it
// whoever runs the test; false if the child has found a failure.
bool PassesWithoutCapabilities(const std::function<void()>& body);

}  // namespace capbroker::file

#endif  // SERVICES_FILE_FILE_OPENER_FIXTURE_H_
