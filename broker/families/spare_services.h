// Service processes that wait for a family.
//
// Most of opening a service is the fork of its process, and the pages that a new process writes. A
// spare has that behind it. It has been told nothing but the name of its service: it waits for the
// first command of every service process, Install, with which it is confined, before it reads a
// byte of a holder. (Until then it is what the zygote is that forked it, and holds nothing but the
// sockets that lead to the broker and to the zygote.)
//
// There is one for each of the last families that got a process, of the service that it was. A
// family for whose service none waits forks its process as ever. Spares are made one after another,
// some milliseconds after the start that took one. One whose zygote is gone is not used: nobody
// would hear of what it violates.
//
// Lives in: the broker, on its one thread.
#ifndef BROKER_FAMILIES_SPARE_SERVICES_H_
#define BROKER_FAMILIES_SPARE_SERVICES_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "broker/families/family.h"
#include "broker/families/incarnation.h"

namespace capbroker::broker {

class SpareServices {
 public:
  SpareServices(const BrokerParts& parts, size_t count) : parts_(parts), count_(count) {}
  ~SpareServices();
  SpareServices(const SpareServices&) = delete;
  SpareServices& operator=(const SpareServices&) = delete;

  // As Incarnation::Start(), with a process that has waited. Null: none waits for this service.
  std::shared_ptr<Incarnation> Employ(Family* family, bool successor,
                                      const Incarnation::Events& events);

  // That wait.
  size_t count() const;

 private:
  struct Spare {
    uint64_t number = 0;
    std::string service;
    pid_t zygote = 0;  // that forked it; 0: it is not forked yet
    std::shared_ptr<Incarnation> process;
  };

  void RefillIn(absl::Duration time);
  void Refill();
  void Make(const std::string& service);
  bool IsTooMany(const Spare& spare) const;
  void OnForked(uint64_t number);
  void OnLost(uint64_t number);

  const BrokerParts parts_;
  const size_t count_;
  uint64_t next_number_ = 1;
  std::deque<std::string> wanted_;  // services of the last families, the last one first
  std::list<Spare> spares_;
  uint64_t timer_ = 0;
};

}  // namespace capbroker::broker

#endif  // BROKER_FAMILIES_SPARE_SERVICES_H_
