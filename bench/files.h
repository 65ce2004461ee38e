// Opening a small file, and closing it.
//
//   openat              in this process
//   openat_direct       in a forked process, by the code of the next one
//   transparent_openat  in a supervised worker that was granted the file: its ordinary open() is
//                       answered by the supervisor. Measured in the worker
//   raw_notified_openat the same by the system calls alone: what it takes at least
//   descriptor_by_stub  by a call of the FileOpener whose limits are the file's path, which looks
//                       at what is there before it opens it; both ends check the descriptor
//   raw_descriptor      a message to a process that opens the file and sends the descriptor, by
//                       the system calls alone
#ifndef BENCH_FILES_H_
#define BENCH_FILES_H_

#include <string>

#include "bench/forked.h"
#include "bench/scene.h"

namespace capbroker::bench {

// A file of a few bytes, gone with this object.
class SmallFile {
 public:
  SmallFile();
  ~SmallFile();
  SmallFile(const SmallFile&) = delete;
  SmallFile& operator=(const SmallFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Those who open it without the broker, in processes of their own. To be made before it.
class PlainOpeners {
 public:
  explicit PlainOpeners(const SmallFile& file);
  void AddTo(const Options& options, Variants& variants);

 private:
  ForkedCaller direct_;
  ForkedPeers raw_descriptor_;
  ForkedPeers raw_notified_;
};

void AddFiles(const Scene& scene, const SmallFile& file, Variants& variants);

}  // namespace capbroker::bench

#endif  // BENCH_FILES_H_
