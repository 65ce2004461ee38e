// Every kind of descriptor that Linux makes here, and the facts about each.
//
// Lives in: tests.
#ifndef TESTS_RIGHTS_SPECIMENS_H_
#define TESTS_RIGHTS_SPECIMENS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::testing {

struct Specimen {
  using Rights = ::capbroker::v1::DescriptorRights;
  std::string name;
  // Invalid where the kernel, or its configuration, has none.
  std::function<UniqueFd()> make;
  // What it is; nothing: nothing that can be declared.
  std::optional<Rights::Kind> kind;
  Rights::Access access = Rights::READ_WRITE;
  bool append = false;
  uint32_t seals = 0;
  bool seekable = false;
  uint64_t size = 0;
};

// Whether a field with these rights is to take the specimen, by its facts. `sent`: by a sender that
// reduces what the field says, or that does not.
bool IsDeclared(const Specimen& specimen, const Specimen::Rights& rights, bool reduced);

std::vector<Specimen> Specimens();

}  // namespace capbroker::testing

#endif  // TESTS_RIGHTS_SPECIMENS_H_
