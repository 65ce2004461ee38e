#include "examples/hello/visit.h"

#include <openssl/evp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "capbroker/dns/v1/resolver.capbroker.h"
#include "capbroker/file/v1/file_opener.capbroker.h"
#include "capbroker/group/v1/group_database.capbroker.h"
#include "examples/hello/attempts.h"
#include "examples/hello/report.pb.h"
#include "services/dns/resolver_client.h"
#include "services/file/file_client.h"
#include "services/group/group_client.h"

namespace capbroker::hello {
namespace {

void AddFact(v1::Report& report, std::string what, std::string value) {
  v1::Fact* fact = report.add_facts();
  fact->set_what(std::move(what));
  fact->set_value(std::move(value));
}

int Send(const v1::Report& report) {
  const std::string bytes = report.SerializeAsString();
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t wrote = write(STDOUT_FILENO, bytes.data() + sent, bytes.size() - sent);
    if (wrote < 0) return 1;
    sent += static_cast<size_t>(wrote);
  }
  return 0;
}

// A name that does not exist, and a host without a network, are answers.
bool IsAnswer(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsUnavailable(status) ||
         absl::IsDeadlineExceeded(status);
}

struct Content {
  std::string digest;
  std::string first_line;
  uint64_t size = 0;
};

absl::StatusOr<Content> ReadContent(const UniqueFd& file) {
  constexpr size_t kLongestLine = 60;
  Content content;
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  EVP_DigestInit_ex(digest, EVP_sha256(), nullptr);
  char buffer[64 * 1024];
  ssize_t got;
  bool in_first_line = true;
  while ((got = read(file.get(), buffer, sizeof buffer)) > 0) {
    EVP_DigestUpdate(digest, buffer, static_cast<size_t>(got));
    content.size += static_cast<uint64_t>(got);
    for (ssize_t i = 0; i < got && in_first_line; ++i) {
      in_first_line = buffer[i] != '\n' && content.first_line.size() < kLongestLine;
      if (in_first_line) content.first_line += buffer[i];
    }
  }
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(digest, bytes, &size);
  EVP_MD_CTX_free(digest);
  if (got < 0) return absl::DataLossError("read file");
  content.digest = absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(bytes), size));
  return content;
}

}  // namespace

int VisitHost(Grants grants) {
  v1::Report report;
  const auto stub = grants.Stub<dns::v1::Resolver>("dns");
  const absl::StatusOr<dns::Resolution> found =
      dns::Resolve(*stub, grants.input(), {.timeout = absl::Seconds(20)});
  if (found.ok()) {
    AddFact(report, "addresses",
            absl::StrJoin(found->endpoints, " ", [](std::string* out, const dns::Endpoint& e) {
              absl::StrAppend(out, e.ToText());
            }));
  } else if (IsAnswer(found.status())) {
    AddFact(
        report, "addresses",
        absl::IsNotFound(found.status()) ? "none: no such name" : "none: no name server answered");
  } else {
    report.set_failure(std::string(found.status().message()));
  }
  TryNames(*stub, report);
  TryToWiden(*grants.Channel("dns"), *stub, report);
  TrySystemCalls(report);
  return Send(report);
}

int VisitFile(Grants grants) {
  v1::Report report;
  // The path, and the id of the owner's group, if there is one.
  const std::pair<std::string, std::string> input = absl::StrSplit(grants.input(), '\0');
  const auto stub = grants.Stub<file::v1::FileOpener>("file");
  const file::Files files(*stub);
  const absl::StatusOr<UniqueFd> opened = files.OpenForReading(input.first);
  absl::StatusOr<Content> content = opened.ok() ? ReadContent(*opened) : opened.status();
  if (content.ok()) {
    AddFact(report, "size", absl::StrCat(content->size, " bytes"));
    AddFact(report, "SHA-256", content->digest);
    AddFact(report, "first line", content->first_line);
  } else if (absl::IsNotFound(content.status())) {
    AddFact(report, "file", "none: no such file");
  } else {
    report.set_failure(std::string(content.status().message()));
  }
  uint32_t id;
  if (absl::SimpleAtoi(input.second, &id)) {
    const auto group_stub = grants.Stub<group::v1::GroupDatabase>("group");
    const absl::StatusOr<group::v1::Group> owner = group::Groups(*group_stub).FindById(id);
    if (owner.ok()) {
      AddFact(report, "owner's group", owner->name());
    } else if (absl::IsNotFound(owner.status())) {
      AddFact(report, "owner's group", absl::StrCat("none has the id ", id));
    } else {
      report.set_failure(std::string(owner.status().message()));
    }
    TryGroups(*group_stub, id, report);
  }
  TryPaths(*stub, input.first, report);
  if (opened.ok()) TryOnDescriptor(*opened, report);
  TrySystemCalls(report);
  return Send(report);
}

int TryDeadly(Grants grants) {
  long number;
  if (!absl::SimpleAtoi(grants.input(), &number)) return 2;
  return syscall(number, 0, 0, 0, 0, 0, 0) < 0 ? 1 : 0;
}

}  // namespace capbroker::hello
