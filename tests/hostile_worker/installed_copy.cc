#include "tests/hostile_worker/installed_copy.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"

namespace capbroker::hostile {
namespace {

std::map<std::string, std::string>& Copies() {
  static auto* const copies = new std::map<std::string, std::string>;
  return *copies;
}

void RemoveCopies() {
  std::error_code ignored;
  for (const auto& [file, copy] : Copies()) std::filesystem::remove(copy, ignored);
}

}  // namespace

std::string InstalledCopy(const std::string& file) {
  if (Copies().empty()) std::atexit(RemoveCopies);
  std::string& copy = Copies()[file];
  if (copy.empty()) {
    copy = absl::StrCat("/tmp/", std::filesystem::path(file).filename().string(), ".", getpid());
    std::filesystem::copy_file(file, copy, std::filesystem::copy_options::overwrite_existing);
    if (chmod(copy.c_str(), 0755) != 0) abort();
  }
  return copy;
}

}  // namespace capbroker::hostile
