// Makes what a forked child allocates lie together.
//
// A process that has run for a while has free memory in many small holes between what it keeps. Its
// children would fill these holes, and so write to, and copy, a page of the parent's for nearly
// each of them. Filled beforehand, once, a child allocates from the end of the heap, page after
// page.
//
// Lives in: the zygote. Single-threaded. A matter of cost only: without it nothing else changes.
#ifndef BASE_HEAP_HOLES_H_
#define BASE_HEAP_HOLES_H_

namespace capbroker {

// Takes the holes of malloc's main heap, of up to 64 KiB each, for good.
void FillHeapHoles();

}  // namespace capbroker

#endif  // BASE_HEAP_HOLES_H_
