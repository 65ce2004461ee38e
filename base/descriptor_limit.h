// How many descriptors this process may have open.
#ifndef BASE_DESCRIPTOR_LIMIT_H_
#define BASE_DESCRIPTOR_LIMIT_H_

#include <sys/resource.h>

namespace capbroker {

// Raises the soft limit to the hard one, and gives what is in force then.
rlim_t RaiseDescriptorLimit();

}  // namespace capbroker

#endif  // BASE_DESCRIPTOR_LIMIT_H_
