#include "services/file/file_opener.h"

#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "authority/denial.h"
#include "services/file/directory_entries.h"
#include "services/file/file_content.h"
#include "services/file/granted_files.h"
#include "services/file/object_checks.h"
#include "serving/call.h"

namespace capbroker::file {
namespace {

using ::capbroker::serving::Call;

// What the processes of a family opened with these limits may reach: no channel of it has more.
serving::ServiceReach FilesOfLimits(const google::protobuf::Any& any,
                                    const google::protobuf::Any& /*settings*/) {
  serving::ServiceReach reach;
  v1::FileOpenerLimits limits;
  if (!any.UnpackTo(&limits)) return reach;
  serving::FileNeed use;
  for (const int access : limits.accesses()) {
    use.read |= access == v1::ACCESS_READ || access == v1::ACCESS_READ_WRITE;
    use.write |= access != v1::ACCESS_READ;
  }
  for (const int operation : limits.operations()) {
    use.read |= operation == v1::OPERATION_LIST;
    use.create |= operation == v1::OPERATION_CREATE;
  }
  for (const int kind : limits.kinds()) use.devices |= kind == v1::FILE_KIND_CHARACTER_DEVICE;
  for (const std::string& path : limits.paths()) {
    use.path = path == "*" ? "/" : path;
    reach.files.push_back(use);
    // What is to be created is not there yet: it is its directory that is needed.
    if (!use.create || use.path.back() == '/') continue;
    use.path.resize(use.path.rfind('/') + 1);
    reach.files.push_back(use);
  }
  return reach;
}

// The same answer for a refusal as the generic checker gives, and plain words for
// the rest.
grpc::Status Answer(const Call& call, absl::string_view action, const absl::Status& status) {
  if (const auto denial = authority::DenialOf(status)) return call.Refuse(denial->field());
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      absl::StrCat(action, ": ", status.message()));
}

// One file's failure in an answer about many.
void Tell(const absl::Status& status, v1::OpenManyResponse::Result* result) {
  result->set_code(static_cast<int32_t>(status.code()));
  result->set_message(std::string(status.message()));
  if (const auto denial = authority::DenialOf(status)) {
    *result->mutable_denial() = *denial;
    result->mutable_denial()->set_method("OpenMany");
  }
}

void Tell(const struct stat& status, v1::FileStatus* told) {
  told->set_kind(KindOf(status.st_mode));
  told->set_size(static_cast<uint64_t>(status.st_size));
  told->set_mode(status.st_mode & 07777);
  told->set_owner(status.st_uid);
  told->set_group(status.st_gid);
  told->set_links(status.st_nlink);
  told->mutable_modified()->set_seconds(status.st_mtim.tv_sec);
  told->mutable_modified()->set_nanos(static_cast<int32_t>(status.st_mtim.tv_nsec));
}

}  // namespace

serving::ServiceNeeds FileOpenerService::Needs() {
  return {.serves_files = true, .as_opened = &FilesOfLimits, .as_user = true};
}

grpc::Status FileOpenerService::Open(grpc::ServerContext* context, const v1::OpenRequest* request,
                                     v1::OpenResponse* response) {
  Call& call = Call::Of(context);
  const GrantedFiles files(*call.limits(), reopener_);
  absl::StatusOr<GrantedFiles::OpenedFile> file = files.Open(request->path(), request->access());
  if (!file.ok()) return Answer(call, "open", file.status());
  response->set_size(file->size);
  return call.Attach(std::move(file->fd), response->mutable_file());
}

grpc::Status FileOpenerService::OpenMany(grpc::ServerContext* context,
                                         const v1::OpenManyRequest* request,
                                         v1::OpenManyResponse* response) {
  Call& call = Call::Of(context);
  const GrantedFiles files(*call.limits(), reopener_);
  for (const v1::OpenRequest& wanted : request->files()) {
    v1::OpenManyResponse::Result* const result = response->add_results();
    absl::StatusOr<GrantedFiles::OpenedFile> file = files.Open(wanted.path(), wanted.access());
    if (!file.ok()) {
      Tell(file.status(), result);
      continue;
    }
    result->set_size(file->size);
    if (grpc::Status sent = call.Attach(std::move(file->fd), result->mutable_file()); !sent.ok()) {
      return sent;
    }
  }
  return grpc::Status::OK;
}

grpc::Status FileOpenerService::Create(grpc::ServerContext* context,
                                       const v1::CreateRequest* request,
                                       v1::CreateResponse* response) {
  Call& call = Call::Of(context);
  // A file that cannot be sent would be there for a moment, and with it its effects.
  if (!call.CanAttach()) {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                        "create: a wire carries no descriptors; call the method on the lane");
  }
  const GrantedFiles files(*call.limits(), reopener_);
  absl::StatusOr<GrantedFiles::CreatedFile> file =
      files.Create(request->path(), request->access(), request->mode());
  if (!file.ok()) return Answer(call, "create", file.status());
  grpc::Status sent = call.Attach(file->TakeFd(), response->mutable_file());
  if (sent.ok()) file->Keep();
  return sent;
}

grpc::Status FileOpenerService::Stat(grpc::ServerContext* context, const v1::StatRequest* request,
                                     v1::StatResponse* response) {
  const Call& call = Call::Of(context);
  const GrantedFiles files(*call.limits(), reopener_);
  const absl::StatusOr<struct stat> status = files.Stat(
      request->path(), request->no_follow() ? FinalSymlink::kKeep : FinalSymlink::kFollow);
  if (!status.ok()) return Answer(call, "stat", status.status());
  Tell(*status, response->mutable_status());
  return grpc::Status::OK;
}

grpc::Status FileOpenerService::ReadLink(grpc::ServerContext* context,
                                         const v1::ReadLinkRequest* request,
                                         v1::ReadLinkResponse* response) {
  const Call& call = Call::Of(context);
  absl::StatusOr<std::string> target =
      GrantedFiles(*call.limits(), reopener_).ReadLink(request->path());
  if (!target.ok()) return Answer(call, "read link", target.status());
  response->set_target(*std::move(target));
  return grpc::Status::OK;
}

grpc::Status FileOpenerService::RealPath(grpc::ServerContext* context,
                                         const v1::RealPathRequest* request,
                                         v1::RealPathResponse* response) {
  const Call& call = Call::Of(context);
  absl::StatusOr<std::string> path =
      GrantedFiles(*call.limits(), reopener_).RealPath(request->path());
  if (!path.ok()) return Answer(call, "real path", path.status());
  response->set_path(*std::move(path));
  return grpc::Status::OK;
}

grpc::Status FileOpenerService::ListDirectory(
    grpc::ServerContext* context, const v1::ListDirectoryRequest* request,
    grpc::ServerWriter<v1::ListDirectoryResponse>* writer) {
  const Call& call = Call::Of(context);
  absl::StatusOr<UniqueFd> directory =
      GrantedFiles(*call.limits(), reopener_).OpenForListing(request->path());
  if (!directory.ok()) return Answer(call, "list directory", directory.status());
  absl::StatusOr<DirectoryEntries> entries = DirectoryEntries::Read(*std::move(directory));
  if (!entries.ok()) return Answer(call, "list directory", entries.status());
  while (!context->IsCancelled()) {
    const absl::StatusOr<v1::ListDirectoryResponse> batch = entries->Next();
    if (!batch.ok()) return Answer(call, "list directory", batch.status());
    if (batch->entries().empty()) return grpc::Status::OK;
    if (!writer->Write(*batch)) break;
  }
  return grpc::Status::CANCELLED;
}

// TRUST(worker): `after` may be any bytes, and the number of entries any number.
grpc::Status FileOpenerService::ListDirectoryPage(grpc::ServerContext* context,
                                                  const v1::ListDirectoryPageRequest* request,
                                                  v1::ListDirectoryPageResponse* response) {
  const Call& call = Call::Of(context);
  absl::StatusOr<UniqueFd> directory =
      GrantedFiles(*call.limits(), reopener_).OpenForListing(request->path());
  if (!directory.ok()) return Answer(call, "list directory", directory.status());
  absl::StatusOr<DirectoryEntries> entries = DirectoryEntries::Read(*std::move(directory));
  if (!entries.ok()) return Answer(call, "list directory", entries.status());
  size_t count = DirectoryEntries::kMaxPage;
  if (request->max_entries() != 0) count = std::min<size_t>(count, request->max_entries());
  absl::StatusOr<v1::ListDirectoryPageResponse> page =
      entries->Page(request->after(), count, [context] { return context->IsCancelled(); });
  if (!page.ok()) return Answer(call, "list directory", page.status());
  *response = *std::move(page);
  return grpc::Status::OK;
}

grpc::Status FileOpenerService::Read(grpc::ServerContext* context, const v1::ReadRequest* request,
                                     v1::ReadResponse* response) {
  const Call& call = Call::Of(context);
  absl::StatusOr<v1::ReadResponse> piece =
      GrantedFiles(*call.limits(), reopener_)
          .Read(request->path(), request->offset(),
                request->size() == 0 ? kMaxPiece : request->size());
  if (!piece.ok()) return Answer(call, "read", piece.status());
  *response = *std::move(piece);
  return grpc::Status::OK;
}

grpc::Status FileOpenerService::Write(grpc::ServerContext* context, const v1::WriteRequest* request,
                                      v1::WriteResponse* response) {
  const Call& call = Call::Of(context);
  std::optional<uint64_t> offset;
  if (request->access() == v1::ACCESS_WRITE) {
    offset = request->offset();
  } else if (request->access() != v1::ACCESS_APPEND) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "write: at an offset, or at the end");
  }
  absl::StatusOr<v1::WriteResponse> written =
      GrantedFiles(*call.limits(), reopener_).Write(request->path(), offset, request->content());
  if (!written.ok()) return Answer(call, "write", written.status());
  *response = *written;
  return grpc::Status::OK;
}

grpc::Status FileOpenerService::OpenDirectory(grpc::ServerContext* context,
                                              const v1::OpenDirectoryRequest* request,
                                              v1::OpenDirectoryResponse* response) {
  Call& call = Call::Of(context);
  absl::StatusOr<std::string> path =
      GrantedFiles(*call.limits(), reopener_).RealDirectory(request->path());
  if (!path.ok()) return Answer(call, "open directory", path.status());
  v1::FileOpenerLimits narrowed;
  narrowed.CopyFrom(*call.limits()->message());
  narrowed.clear_paths();
  narrowed.add_paths(*path == "/" ? "/" : absl::StrCat(*path, "/"));
  response->set_path(*std::move(path));
  return call.AttachChannel(narrowed, response->mutable_directory());
}

}  // namespace capbroker::file
