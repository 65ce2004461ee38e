// Many channels to one service process, one call at a time on each, from one thread of this
// process: calls in a second.
//
//   channels_100, channels_1000
#ifndef BENCH_CHANNELS_H_
#define BENCH_CHANNELS_H_

#include <memory>
#include <vector>

#include "bench/scene.h"
#include "transport/callback_loop.h"
#include "transport/channel.h"

namespace capbroker::bench {

// Clones of one channel, and a callback loop that calls on all of them.
class ChannelCaller {
 public:
  ChannelCaller(const std::shared_ptr<Channel>& first, int count);
  ~ChannelCaller();
  // `calls` in all.
  void Run(int calls);

 private:
  struct Call;
  void Start(Call& call);

  const std::shared_ptr<CallbackLoop> loop_;
  std::vector<std::unique_ptr<Call>> calls_;
  int to_start_ = 0;
  int to_end_ = 0;
};

void AddChannels(const Scene& scene, Variants& variants);

}  // namespace capbroker::bench

#endif  // BENCH_CHANNELS_H_
