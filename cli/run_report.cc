#include "cli/run_report.h"

#include <string.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace capbroker::cli {
namespace {

struct Access {
  absl::string_view verb;
  absl::string_view grant;  // empty: no grant would do
};

Access Wanted(const v1::AuditEvent& event) {
  Access access = {"look at", "file:read:"};
  for (const v1::AuditEvent::Value& value : event.values()) {
    if (value.field() == "connections") return {"connect to", "connect:"};
    if (value.field() == "listeners") return {"listen at", "listen:"};
    if (value.field() == "files.create") return {"create", "file:write:"};
    if (value.field() == "files.write") access = {"write", "file:write:"};
    if (value.field() == "files.read" && access.verb != "write") access.verb = "read";
  }
  return access;
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

std::string Explain(const v1::AuditEvent& event) {
  if (event.kind() == v1::AuditEvent::LEFT_OUT && event.left_out() == v1::AuditEvent::DENIED) {
    return absl::StrCat(event.count(), " more refusals");
  }
  // What a service denies the supervisor tells with the name.
  if (event.kind() != v1::AuditEvent::DENIED || event.family() != 0) return "";
  const std::string name = event.values().empty() ? "" : event.values(0).value();
  if (name.empty()) {
    return absl::StrCat("refused: ", event.method(), event.text().empty() ? "" : ": ",
                        event.text());
  }
  const Access wanted = Wanted(event);
  struct stat status;
  const bool host = wanted.verb == "connect to";
  const bool is_path = !host && wanted.verb != "listen at";
  if (is_path && wanted.verb != "create" && lstat(name.c_str(), &status) != 0 &&
      (errno == ENOENT || errno == ENOTDIR)) {
    return "";
  }
  return absl::StrCat("refused: ", event.method(), ": to ", wanted.verb, " ", name,
                      " is not granted (--grant ", wanted.grant,
                      wanted.verb == "create" ? DirectoryOf(name) : name,
                      host && name.find(':') == std::string::npos ? ":PORT" : "", ")");
}

std::string ExplainEnd(const WorkerEnd& end) {
  if (!end.violation().empty()) {
    return absl::StrCat("killed: the system call ", end.violation(), " is not allowed");
  }
  if (!end.reason().empty()) return absl::StrCat("killed: ", end.reason());
  if (end.signal() != 0) return absl::StrCat("killed by signal ", strsignal(end.signal()));
  return "";
}

}  // namespace capbroker::cli
