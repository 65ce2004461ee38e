#include "services/file/file_opener_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"
#include "serving/call.h"

namespace capbroker::file {

const authority::ServiceSchema& FileOpenerSchema() {
  static const authority::ServiceSchema* const schema =
      authority::ServiceSchema::Compile(
          *v1::FileOpenerLimits::descriptor()->file()->FindServiceByName("FileOpener"))
          .value()
          .release();
  return *schema;
}

std::shared_ptr<const authority::Limits> CompileLimits(const v1::FileOpenerLimits& limits) {
  return authority::Limits::Compile(FileOpenerSchema(), limits).value();
}

FileOpenerFixture::FileOpenerFixture() : service_(std::make_unique<FileOpenerService>()) {
  std::string directory = absl::StrCat(::testing::TempDir(), "/file_opener_XXXXXX");
  EXPECT_NE(mkdtemp(directory.data()), nullptr);
  // The fixture's own way may have symlinks; tests make those that they want.
  char real[PATH_MAX];
  EXPECT_NE(realpath(directory.c_str(), real), nullptr);
  directory_ = real;
  EXPECT_EQ(chmod(real, 0755), 0);
}

FileOpenerFixture::~FileOpenerFixture() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string FileOpenerFixture::Path(absl::string_view path) const {
  if (!path.empty() && path.front() == '/') return std::string(path);
  return path.empty() ? directory_ : absl::StrCat(directory_, "/", path);
}

void FileOpenerFixture::MakeDirectory(absl::string_view path, mode_t mode) const {
  ASSERT_EQ(mkdir(Path(path).c_str(), mode), 0) << path;
}

void FileOpenerFixture::MakeFile(absl::string_view path, absl::string_view contents,
                                 mode_t mode) const {
  const UniqueFd fd(open(Path(path).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  ASSERT_TRUE(fd.valid()) << path;
  ASSERT_EQ(write(fd.get(), contents.data(), contents.size()),
            static_cast<ssize_t>(contents.size()));
  ASSERT_EQ(fchmod(fd.get(), mode), 0);
}

void FileOpenerFixture::MakeSymlink(absl::string_view target, absl::string_view path) const {
  ASSERT_EQ(symlink(std::string(target).c_str(), Path(path).c_str()), 0) << path;
}

v1::FileOpenerLimits FileOpenerFixture::Everything(absl::string_view path, bool trusted) const {
  v1::FileOpenerLimits limits;
  for (int i = v1::OPERATION_OPEN; i <= v1::Operation_MAX; ++i) {
    limits.add_operations(static_cast<v1::Operation>(i));
  }
  for (int i = v1::ACCESS_READ; i <= v1::Access_MAX; ++i) {
    limits.add_accesses(static_cast<v1::Access>(i));
  }
  limits.add_kinds(v1::FILE_KIND_REGULAR);
  limits.set_modes(0777);
  limits.set_max_size(1 << 20);
  limits.add_paths(Path(path));
  if (trusted) limits.add_trusted_roots(Path(path));
  return limits;
}

template <typename Request, typename Response>
Answer<Response> FileOpenerFixture::Run(
    absl::string_view method,
    grpc::Status (FileOpenerService::*handler)(grpc::ServerContext*, const Request*, Response*),
    const v1::FileOpenerLimits& limits, const Request& request) {
  Answer<Response> answer;
  const std::shared_ptr<const authority::Limits> compiled = CompileLimits(limits);
  answer.call = std::make_unique<serving::FakeCall>(compiled);
  const authority::MethodSchema& schema = *FileOpenerSchema().FindMethod(method);
  if (const std::optional<authority::Refusal> refusal = compiled->Check(schema, request)) {
    answer.status = grpc::Status(grpc::StatusCode::PERMISSION_DENIED,
                                 absl::StrCat(kByName, refusal->denial.field()));
    return answer;
  }
  grpc::ServerContext context;
  const serving::CallScope scope(&context, answer.call.get());
  answer.status = ((*service_).*handler)(&context, &request, &answer.response);
  return answer;
}

Answer<v1::OpenResponse> FileOpenerFixture::Open(const v1::FileOpenerLimits& limits,
                                                 absl::string_view path, v1::Access access) {
  v1::OpenRequest request;
  request.set_path(Path(path));
  request.set_access(access);
  return Run("Open", &FileOpenerService::Open, limits, request);
}

Answer<v1::ReadResponse> FileOpenerFixture::Read(const v1::FileOpenerLimits& limits,
                                                 absl::string_view path, uint64_t offset,
                                                 uint32_t size) {
  v1::ReadRequest request;
  request.set_path(Path(path));
  request.set_offset(offset);
  request.set_size(size);
  return Run("Read", &FileOpenerService::Read, limits, request);
}

Answer<v1::WriteResponse> FileOpenerFixture::Write(const v1::FileOpenerLimits& limits,
                                                   absl::string_view path, v1::Access access,
                                                   uint64_t offset, const std::string& content) {
  v1::WriteRequest request;
  request.set_path(Path(path));
  request.set_access(access);
  request.set_offset(offset);
  request.set_content(content);
  return Run("Write", &FileOpenerService::Write, limits, request);
}

Answer<v1::OpenManyResponse> FileOpenerFixture::OpenMany(const v1::FileOpenerLimits& limits,
                                                         const std::vector<std::string>& paths,
                                                         v1::Access access) {
  v1::OpenManyRequest request;
  for (const std::string& path : paths) {
    request.add_files()->set_path(Path(path));
    request.mutable_files()->rbegin()->set_access(access);
  }
  return Run("OpenMany", &FileOpenerService::OpenMany, limits, request);
}

Answer<v1::CreateResponse> FileOpenerFixture::Create(const v1::FileOpenerLimits& limits,
                                                     absl::string_view path, v1::Access access,
                                                     uint32_t mode) {
  v1::CreateRequest request;
  request.set_path(Path(path));
  request.set_access(access);
  request.set_mode(mode);
  return Run("Create", &FileOpenerService::Create, limits, request);
}

Answer<v1::StatResponse> FileOpenerFixture::Stat(const v1::FileOpenerLimits& limits,
                                                 absl::string_view path, bool no_follow) {
  v1::StatRequest request;
  request.set_path(Path(path));
  request.set_no_follow(no_follow);
  return Run("Stat", &FileOpenerService::Stat, limits, request);
}

Answer<v1::ReadLinkResponse> FileOpenerFixture::ReadLink(const v1::FileOpenerLimits& limits,
                                                         absl::string_view path) {
  v1::ReadLinkRequest request;
  request.set_path(Path(path));
  return Run("ReadLink", &FileOpenerService::ReadLink, limits, request);
}

Answer<v1::RealPathResponse> FileOpenerFixture::RealPath(const v1::FileOpenerLimits& limits,
                                                         absl::string_view path) {
  v1::RealPathRequest request;
  request.set_path(Path(path));
  return Run("RealPath", &FileOpenerService::RealPath, limits, request);
}

Answer<v1::ListDirectoryPageResponse> FileOpenerFixture::ListDirectoryPage(
    const v1::FileOpenerLimits& limits, absl::string_view path, const std::string& after,
    uint32_t max_entries) {
  v1::ListDirectoryPageRequest request;
  request.set_path(Path(path));
  request.set_after(after);
  request.set_max_entries(max_entries);
  return Run("ListDirectoryPage", &FileOpenerService::ListDirectoryPage, limits, request);
}

Answer<v1::OpenDirectoryResponse> FileOpenerFixture::OpenDirectory(
    const v1::FileOpenerLimits& limits, absl::string_view path) {
  v1::OpenDirectoryRequest request;
  request.set_path(Path(path));
  return Run("OpenDirectory", &FileOpenerService::OpenDirectory, limits, request);
}

std::string FileOpenerFixture::ReadAll(UniqueFd fd) {
  std::string contents(65536, '\0');
  const ssize_t size = read(fd.get(), contents.data(), contents.size());
  EXPECT_GE(size, 0);
  contents.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return contents;
}

int FileOpenerFixture::StatusFlags(FdRef fd) {
  return fcntl(fd.get(), F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH);
}

int FileOpenerFixture::CountDescriptors() {
  DIR* const stream = opendir("/proc/self/fd");
  int count = 0;
  while (readdir(stream) != nullptr) ++count;
  closedir(stream);
  return count;
}

bool PassesWithoutCapabilities(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);
    __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capset, &header, none) != 0) _exit(2);
    body();
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace capbroker::file
