#include "services/hosts/module_source.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/hosts/quiet_thread.h"

namespace capbroker::hosts {
namespace {

struct Job {
  std::function<HostAnswer()> work;
  absl::Time give_up;
  std::stop_token stop;
  HostSource::Done done;
  std::atomic<bool> answered{false};

  void Answer(HostAnswer answer) {
    if (answered.exchange(true)) return;
    if (!stop.stop_requested()) done(std::move(answer));
  }
  bool IsOver() const { return answered.load() || stop.stop_requested(); }
};

}  // namespace

// Owned by the threads too, since they may outlive the service.
class ModuleThreads::Pool : public std::enable_shared_from_this<Pool> {
 public:
  bool Add(std::shared_ptr<Job> job) {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return false;
    Forget();
    if (!has_clock_) has_clock_ = StartThread([](Pool& pool) { pool.WatchClock(); });
    if (idle_ <= static_cast<int>(waiting_.size()) && threads_ < kModuleThreads &&
        StartThread([](Pool& pool) { pool.Work(); })) {
      ++threads_;
    }
    if (!has_clock_ || threads_ == 0) return false;
    waiting_.push_back(job);
    pending_.push_back(std::move(job));
    changed_.SignalAll();
    return true;
  }

  void Stop() {
    // Waits for calls of `done` that are under way, which are short.
    absl::MutexLock no_delivery(&delivery_);
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    waiting_.clear();
    pending_.clear();
    changed_.SignalAll();
  }

 private:
  bool StartThread(void (*body)(Pool&)) {
    std::optional<QuietThread> thread =
        QuietThread::Start([self = shared_from_this(), body] { body(*self); });
    if (!thread.has_value()) return false;
    thread->Detach();
    return true;
  }

  void Work() {
    absl::MutexLock lock(&mutex_);
    while (true) {
      ++idle_;
      while (waiting_.empty() && !stopped_) changed_.Wait(&mutex_);
      --idle_;
      if (stopped_) return;
      const std::shared_ptr<Job> job = std::move(waiting_.front());
      waiting_.pop_front();
      if (job->IsOver()) continue;
      mutex_.Unlock();
      Deliver(*job, job->work());
      mutex_.Lock();
    }
  }

  // Answers the jobs whose time is up.
  void WatchClock() {
    absl::MutexLock lock(&mutex_);
    while (!stopped_) {
      absl::Time next = absl::InfiniteFuture();
      std::vector<std::shared_ptr<Job>> expired;
      const absl::Time now = absl::Now();
      Forget();
      for (const std::shared_ptr<Job>& job : pending_) {
        if (job->give_up <= now) {
          expired.push_back(job);
        } else {
          next = std::min(next, job->give_up);
        }
      }
      if (expired.empty()) {
        changed_.WaitWithDeadline(&mutex_, next);
        continue;
      }
      mutex_.Unlock();
      HostAnswer no_answer;
      no_answer.outcome = SourceOutcome::kTryAgain;
      for (const std::shared_ptr<Job>& job : expired) Deliver(*job, no_answer);
      expired.clear();
      mutex_.Lock();
    }
  }

  void Deliver(Job& job, HostAnswer answer) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::ReaderMutexLock delivery(&delivery_);
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) return;
    }
    job.Answer(std::move(answer));
  }

  // Lets go of jobs that were answered or cancelled.
  void Forget() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto is_over = [](const std::shared_ptr<Job>& job) { return job->IsOver(); };
    waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(), is_over), waiting_.end());
    pending_.erase(std::remove_if(pending_.begin(), pending_.end(), is_over), pending_.end());
  }

  absl::Mutex delivery_ ABSL_ACQUIRED_BEFORE(mutex_);  // shared: while `done` is called
  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_clock_ ABSL_GUARDED_BY(mutex_) = false;
  int threads_ ABSL_GUARDED_BY(mutex_) = 0;
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<std::shared_ptr<Job>> waiting_ ABSL_GUARDED_BY(mutex_);   // for a thread
  std::vector<std::shared_ptr<Job>> pending_ ABSL_GUARDED_BY(mutex_);  // for an answer
};

ModuleThreads::ModuleThreads() : pool_(std::make_shared<Pool>()) {}

ModuleThreads::~ModuleThreads() { Stop(); }

void ModuleThreads::Stop() { pool_->Stop(); }

bool ModuleThreads::Run(std::function<HostAnswer()> work, absl::Time give_up, std::stop_token stop,
                        HostSource::Done done) {
  auto job = std::make_shared<Job>();
  job->work = std::move(work);
  job->give_up = give_up;
  job->stop = std::move(stop);
  job->done = std::move(done);
  return pool_->Add(std::move(job));
}

void ModuleSource::Ask(std::shared_ptr<const HostQuestion> question, std::stop_token stop,
                       Done done) {
  const absl::Time give_up = question->give_up;
  auto work = [module = module_, question = std::move(question)] { return module->Ask(*question); };
  if (!threads_->Run(std::move(work), give_up, std::move(stop), done)) {
    HostAnswer answer;
    answer.outcome = SourceOutcome::kUnavailable;
    done(std::move(answer));
  }
}

}  // namespace capbroker::hosts
