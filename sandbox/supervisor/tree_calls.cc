#include "sandbox/supervisor/tree_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

constexpr uint64_t kNoReplace = 1, kExchange = 2;  // RENAME_*

int Descriptor(uint64_t argument) { return static_cast<int>(static_cast<uint32_t>(argument)); }

Answer Done(long result) { return result == 0 ? Result(0) : Failure(errno); }

}  // namespace

TreeCalls::TreeCalls(GrantedNames& names) : names_(names) {
  for (const Named& named : Methods()) {
    const std::optional<int> number = SystemCallNumber(named.name, kNativeArchitecture);
    if (number.has_value()) methods_[*number] = named.method;
  }
}

const std::vector<TreeCalls::Named>& TreeCalls::Methods() {
  static const std::vector<Named>* const methods = new std::vector<Named>{
      {"mkdir", &TreeCalls::OnMkdir},       {"mkdirat", &TreeCalls::OnMkdirat},
      {"rmdir", &TreeCalls::OnRmdir},       {"unlink", &TreeCalls::OnUnlink},
      {"unlinkat", &TreeCalls::OnUnlinkat}, {"rename", &TreeCalls::OnRename},
      {"renameat", &TreeCalls::OnRenameat}, {"renameat2", &TreeCalls::OnRenameat2},
  };
  return *methods;
}

std::vector<std::string> TreeCalls::Names() {
  std::vector<std::string> names;
  for (const Named& named : Methods()) names.push_back(named.name);
  return names;
}

std::optional<Answer> TreeCalls::AnswerTo(const Notification& call) {
  const auto method = methods_.find(call.call().nr);
  if (method == methods_.end()) return std::nullopt;
  return (this->*method->second)(call);
}

Answer TreeCalls::Make(const Notification& call, const PathArgument& argument, uint64_t mode) {
  const PathRead read = names_.Read(call, argument);
  if (read.error_number != 0) return Failure(read.error_number);
  const std::string name = read.Name();
  const Object object = names_.Find(name, {.follow = false});
  // Whoever makes the way to a granted tree finds it made.
  if (object.above || object.fd.valid()) return Failure(EEXIST);
  const Entry entry = names_.FindEntry(name);
  if (entry.error_number != 0) return Failure(entry.error_number);
  // As in file_calls.cc: not more than the permissions.
  const uint32_t mask = names_.working_places().Of(call.thread()).file_mode_mask;
  return Done(mkdirat(entry.directory.get(), entry.leaf.c_str(),
                      static_cast<mode_t>(mode & 0777 & ~uint64_t{mask})));
}

Answer TreeCalls::Remove(const Notification& call, const PathArgument& argument, int flags) {
  if ((flags & ~AT_REMOVEDIR) != 0) return Failure(EINVAL);
  const PathRead read = names_.Read(call, argument);
  if (read.error_number != 0) return Failure(read.error_number);
  const Entry entry = names_.FindEntry(read.Name());
  if (entry.error_number != 0) return Failure(entry.error_number);
  return Done(unlinkat(entry.directory.get(), entry.leaf.c_str(), flags));
}

Answer TreeCalls::Rename(const Notification& call, const PathArgument& from, const PathArgument& to,
                         uint64_t flags) {
  if ((flags & ~(kNoReplace | kExchange)) != 0) return Failure(EINVAL);
  const PathRead old_path = names_.Read(call, from);
  if (old_path.error_number != 0) return Failure(old_path.error_number);
  const PathRead new_path = names_.Read(call, to);
  if (new_path.error_number != 0) return Failure(new_path.error_number);
  const Entry old_entry = names_.FindEntry(old_path.Name());
  if (old_entry.error_number != 0) return Failure(old_entry.error_number);
  const Entry new_entry = names_.FindEntry(new_path.Name());
  if (new_entry.error_number != 0) return Failure(new_entry.error_number);
  return Done(syscall(SYS_renameat2, old_entry.directory.get(), old_entry.leaf.c_str(),
                      new_entry.directory.get(), new_entry.leaf.c_str(),
                      static_cast<unsigned>(flags)));
}

Answer TreeCalls::OnMkdir(const Notification& call) {
  return Make(call, {AT_FDCWD, call.argument(0)}, call.argument(1));
}

Answer TreeCalls::OnMkdirat(const Notification& call) {
  return Make(call, {Descriptor(call.argument(0)), call.argument(1)}, call.argument(2));
}

Answer TreeCalls::OnRmdir(const Notification& call) {
  return Remove(call, {AT_FDCWD, call.argument(0)}, AT_REMOVEDIR);
}

Answer TreeCalls::OnUnlink(const Notification& call) {
  return Remove(call, {AT_FDCWD, call.argument(0)}, 0);
}

Answer TreeCalls::OnUnlinkat(const Notification& call) {
  return Remove(call, {Descriptor(call.argument(0)), call.argument(1)},
                Descriptor(call.argument(2)));
}

Answer TreeCalls::OnRename(const Notification& call) {
  return Rename(call, {AT_FDCWD, call.argument(0)}, {AT_FDCWD, call.argument(1)}, 0);
}

Answer TreeCalls::OnRenameat(const Notification& call) {
  return Rename(call, {Descriptor(call.argument(0)), call.argument(1)},
                {Descriptor(call.argument(2)), call.argument(3)}, 0);
}

Answer TreeCalls::OnRenameat2(const Notification& call) {
  return Rename(call, {Descriptor(call.argument(0)), call.argument(1)},
                {Descriptor(call.argument(2)), call.argument(3)},
                static_cast<uint32_t>(call.argument(4)));
}

}  // namespace capbroker::sandbox
