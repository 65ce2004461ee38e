// A confined process and files that are replaced.
//
// A process may open the files that it was confined to, and those are objects: when an editor
// or a deployment puts another one in the place of a name, that one is none of them, and no
// process can be given more than it was confined to. A successor can: it is confined to
// what has the names then. So who finds a file refused that its name once led to asks here
// whether it was replaced, and the process gives way.
//
// Lives in: service processes. Thread-safe. In a process that is not confined nothing
// has ever moved.
#ifndef SERVING_SUCCESSION_H_
#define SERVING_SUCCESSION_H_

#include <functional>
#include <string>
#include <vector>

namespace capbroker::serving {

// Exit code of a process that has given way. The broker starts its successor and does not call it
// a crash.
inline constexpr int kGaveWay = 64;

// Before the process is confined to what is at `paths`. `give_way` ends the process.
void WatchForSuccession(const std::vector<std::string>& paths, std::function<void()> give_way);

// True if another object has one of the names now. The process is about to end then: the caller
// answers UNAVAILABLE. At most one process in three seconds gives way.
bool FilesWereReplaced();

}  // namespace capbroker::serving

#endif  // SERVING_SUCCESSION_H_
