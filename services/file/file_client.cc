#include "services/file/file_client.h"

#include <grpcpp/client_context.h>

#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "capbroker/v1/authority.pb.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_status.h"

namespace capbroker::file {
namespace {

// The context of one call and the descriptors that come with its answer.
struct CallState {
  explicit CallState(absl::Duration timeout) : CallState(absl::Now() + timeout) {}
  explicit CallState(absl::Time deadline) : descriptors(&context) {
    if (deadline != absl::InfiniteFuture()) context.set_deadline(absl::ToChronoTime(deadline));
  }
  grpc::ClientContext context;
  CallDescriptors descriptors;
};

// The failure of one file of many, with its denial as that of a whole call has it.
absl::Status StatusOf(const v1::OpenManyResponse::Result& result) {
  ::capbroker::v1::RpcStatus details;
  if (result.has_denial()) details.add_details()->PackFrom(result.denial());
  return FromGrpcStatus(grpc::Status(static_cast<grpc::StatusCode>(result.code()), result.message(),
                                     details.SerializeAsString()));
}

}  // namespace

absl::StatusOr<UniqueFd> Files::Open(absl::string_view path, v1::Access access) const {
  CallState call(timeout_);
  v1::OpenRequest request;
  request.set_path(std::string(path));
  request.set_access(access);
  v1::OpenResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.Open(&call.context, request, &response)));
  return call.descriptors.Take(response.file());
}

absl::StatusOr<UniqueFd> Files::OpenForReading(absl::string_view path) const {
  return Open(path, v1::ACCESS_READ);
}

absl::StatusOr<std::optional<UniqueFd>> Files::TryOpenForReading(absl::string_view path) const {
  absl::StatusOr<UniqueFd> file = OpenForReading(path);
  if (absl::IsNotFound(file.status())) return std::nullopt;
  if (!file.ok()) return file.status();
  return *std::move(file);
}

absl::StatusOr<std::vector<absl::StatusOr<UniqueFd>>> Files::OpenManyForReading(
    absl::Span<const std::string> paths) const {
  CallState call(timeout_);
  v1::OpenManyRequest request;
  for (const std::string& path : paths) {
    v1::OpenRequest& file = *request.add_files();
    file.set_path(path);
    file.set_access(v1::ACCESS_READ);
  }
  v1::OpenManyResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.OpenMany(&call.context, request, &response)));
  if (response.results_size() != request.files_size()) {
    return absl::InternalError("open many: answer of another length");
  }
  std::vector<absl::StatusOr<UniqueFd>> files;
  for (const v1::OpenManyResponse::Result& result : response.results()) {
    if (result.code() == 0) {
      files.push_back(call.descriptors.Take(result.file()));
      continue;
    }
    files.push_back(StatusOf(result));
  }
  return files;
}

absl::StatusOr<UniqueFd> Files::Create(absl::string_view path, v1::Access access,
                                       uint32_t mode) const {
  CallState call(timeout_);
  v1::CreateRequest request;
  request.set_path(std::string(path));
  request.set_access(access);
  request.set_mode(mode);
  v1::CreateResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.Create(&call.context, request, &response)));
  return call.descriptors.Take(response.file());
}

absl::StatusOr<v1::ReadResponse> Files::ReadAt(absl::string_view path, uint64_t offset,
                                               uint32_t size, absl::Time deadline) const {
  CallState call(deadline);
  v1::ReadRequest request;
  request.set_path(std::string(path));
  request.set_offset(offset);
  request.set_size(size);
  v1::ReadResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.Read(&call.context, request, &response)));
  return response;
}

absl::StatusOr<v1::ReadResponse> Files::ReadAt(absl::string_view path, uint64_t offset,
                                               uint32_t size) const {
  return ReadAt(path, offset, size, absl::Now() + timeout_);
}

absl::StatusOr<std::string> Files::ReadAll(absl::string_view path, size_t max_size) const {
  const absl::Time deadline = absl::Now() + timeout_;
  std::string content;
  uint64_t file = 0;
  while (true) {
    CB_ASSIGN_OR_RETURN(const v1::ReadResponse piece, ReadAt(path, content.size(), 0, deadline));
    if (file != 0 && piece.file() != file) {
      return absl::UnavailableError("read: the name was given to another file meanwhile");
    }
    file = piece.file();
    if (piece.content().size() > max_size - content.size()) {
      return absl::ResourceExhaustedError("read: too large a file");
    }
    content += piece.content();
    if (piece.at_end()) return content;
    // Whoever serves: this ends.
    if (piece.content().empty()) return absl::InternalError("read: a piece without content");
  }
}

absl::Status Files::Write(absl::string_view path, v1::Access access, uint64_t offset,
                          absl::string_view content) const {
  constexpr size_t kPiece = 128 << 10;
  const absl::Time deadline = absl::Now() + timeout_;
  do {
    CallState call(deadline);
    const absl::string_view piece = content.substr(0, kPiece);
    v1::WriteRequest request;
    request.set_path(std::string(path));
    request.set_access(access);
    request.set_offset(offset);
    request.set_content(std::string(piece));
    v1::WriteResponse response;
    CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.Write(&call.context, request, &response)));
    content.remove_prefix(piece.size());
    if (access == v1::ACCESS_WRITE) offset += piece.size();
  } while (!content.empty());
  return absl::OkStatus();
}

absl::Status Files::WriteAt(absl::string_view path, uint64_t offset,
                            absl::string_view content) const {
  return Write(path, v1::ACCESS_WRITE, offset, content);
}

absl::Status Files::Append(absl::string_view path, absl::string_view content) const {
  return Write(path, v1::ACCESS_APPEND, 0, content);
}

absl::StatusOr<v1::FileStatus> Files::Stat(absl::string_view path, bool no_follow) const {
  CallState call(timeout_);
  v1::StatRequest request;
  request.set_path(std::string(path));
  request.set_no_follow(no_follow);
  v1::StatResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.Stat(&call.context, request, &response)));
  return std::move(*response.mutable_status());
}

absl::StatusOr<v1::FileStatus> Files::Stat(absl::string_view path) const {
  return Stat(path, /*no_follow=*/false);
}

absl::StatusOr<v1::FileStatus> Files::StatSymlink(absl::string_view path) const {
  return Stat(path, /*no_follow=*/true);
}

absl::StatusOr<std::string> Files::ReadLink(absl::string_view path) const {
  CallState call(timeout_);
  v1::ReadLinkRequest request;
  request.set_path(std::string(path));
  v1::ReadLinkResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.ReadLink(&call.context, request, &response)));
  return std::move(*response.mutable_target());
}

absl::StatusOr<std::string> Files::RealPath(absl::string_view path) const {
  CallState call(timeout_);
  v1::RealPathRequest request;
  request.set_path(std::string(path));
  v1::RealPathResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.RealPath(&call.context, request, &response)));
  return std::move(*response.mutable_path());
}

absl::StatusOr<v1::ListDirectoryPageResponse> Files::ListPage(absl::string_view path,
                                                              absl::string_view after,
                                                              uint32_t max_entries,
                                                              absl::Time deadline) const {
  CallState call(deadline);
  v1::ListDirectoryPageRequest request;
  request.set_path(std::string(path));
  request.set_after(std::string(after));
  request.set_max_entries(max_entries);
  v1::ListDirectoryPageResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.ListDirectoryPage(&call.context, request, &response)));
  return response;
}

absl::StatusOr<v1::ListDirectoryPageResponse> Files::ListPage(absl::string_view path,
                                                              absl::string_view after,
                                                              uint32_t max_entries) const {
  return ListPage(path, after, max_entries, absl::Now() + timeout_);
}

absl::StatusOr<std::vector<v1::ListDirectoryResponse::Entry>> Files::List(
    absl::string_view path, size_t max_entries) const {
  const absl::Time deadline = absl::Now() + timeout_;
  std::vector<v1::ListDirectoryResponse::Entry> entries;
  std::string after;
  bool more = true;
  while (more) {
    CB_ASSIGN_OR_RETURN(v1::ListDirectoryPageResponse page, ListPage(path, after, 0, deadline));
    for (v1::ListDirectoryResponse::Entry& entry : *page.mutable_entries()) {
      // Whoever serves: the names go on, and so this ends.
      if (entry.name() <= after) return absl::InternalError("list directory: names out of order");
      if (entries.size() == max_entries) {
        return absl::ResourceExhaustedError("list directory: too many entries");
      }
      after = entry.name();
      entries.push_back(std::move(entry));
    }
    more = page.more();
    if (more && page.entries().empty()) {
      return absl::InternalError("list directory: a page without entries");
    }
  }
  return entries;
}

absl::StatusOr<std::vector<v1::ListDirectoryResponse::Entry>> Files::ListByStream(
    absl::string_view path, size_t max_entries) const {
  CallState call(timeout_);
  v1::ListDirectoryRequest request;
  request.set_path(std::string(path));
  const std::unique_ptr<grpc::ClientReaderInterface<v1::ListDirectoryResponse>> reader =
      stub_.ListDirectory(&call.context, request);
  std::vector<v1::ListDirectoryResponse::Entry> entries;
  v1::ListDirectoryResponse batch;
  bool too_many = false;
  while (reader->Read(&batch)) {
    too_many = entries.size() + static_cast<size_t>(batch.entries_size()) > max_entries;
    if (too_many) break;
    for (v1::ListDirectoryResponse::Entry& entry : *batch.mutable_entries()) {
      entries.push_back(std::move(entry));
    }
  }
  if (too_many) call.context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (too_many) return absl::ResourceExhaustedError("list directory: too many entries");
  CB_RETURN_IF_ERROR(FromGrpcStatus(status));
  return entries;
}

absl::StatusOr<Files::DirectoryChannel> Files::OpenDirectory(absl::string_view path) const {
  CallState call(timeout_);
  v1::OpenDirectoryRequest request;
  request.set_path(std::string(path));
  v1::OpenDirectoryResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.OpenDirectory(&call.context, request, &response)));
  CB_ASSIGN_OR_RETURN(UniqueFd lane, call.descriptors.Take(response.directory()));
  return DirectoryChannel{std::move(lane), std::move(*response.mutable_path())};
}

}  // namespace capbroker::file
