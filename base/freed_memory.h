// What malloc does with large memory that is freed.
//
// Usually it goes back to the kernel, and the next that is allocated is zeroed and mapped again,
// page by page. A process that makes and frees large strings, one message after another, may keep
// it for that while.
//
// Lives in: service processes, which are the library's own. An application's malloc is its own
// matter, and so is a worker's, whose memory is bounded. Thread-safe. Does nothing where malloc()
// is not the C library's.
#ifndef BASE_FREED_MEMORY_H_
#define BASE_FREED_MEMORY_H_

namespace capbroker {

// One heap for all threads, so that what one frees another uses. Before there are any.
void ShareOneHeap();

// Until GiveFreedMemoryBack().
void KeepFreedMemory();

// What is free goes back now, and what is freed later goes back as it is usual.
void GiveFreedMemoryBack();

}  // namespace capbroker

#endif  // BASE_FREED_MEMORY_H_
