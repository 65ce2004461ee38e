// Opening a small file, and closing it.
//
//   openat              in this process
//   openat_direct       in a forked process, by the code of the next one
//   transparent_openat  in a supervised worker that was granted the file: its ordinary open() is
//                       answered by the supervisor. Measured in the worker
//   descriptor_by_stub  by a call of the FileOpener whose limits are the file's path
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

// The caller of openat_direct. To be made before the broker.
ForkedCaller DirectOpener(const SmallFile& file);

void AddFiles(const Scene& scene, const SmallFile& file, ForkedCaller& direct, Variants& variants);

}  // namespace capbroker::bench

#endif  // BENCH_FILES_H_
