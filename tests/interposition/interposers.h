// Interposers for the tests of proxies, each a few lines: what applications do with one.
#ifndef TESTS_INTERPOSITION_INTERPOSERS_H_
#define TESTS_INTERPOSITION_INTERPOSERS_H_

#include <deque>
#include <fstream>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "broker/testing/probe.pb.h"
#include "google/protobuf/wrappers.pb.h"
#include "serving/interposition/interposer.h"
#include "serving/service_needs.h"

namespace capbroker::testing {

// Writes a line for each call to the file that its settings name.
class Logger : public Interposer {
 public:
  // A file of its own, in a directory that is there.
  static serving::ServiceNeeds Needs() {
    return {.serves_files = true,
            .as_opened =
                [](const google::protobuf::Any& /*limits*/, const google::protobuf::Any& settings) {
                  google::protobuf::StringValue path;
                  settings.UnpackTo(&path);
                  const std::string directory = path.value().substr(0, path.value().rfind('/') + 1);
                  return serving::ServiceReach{
                      .files = {{.path = directory, .write = true, .create = true}}};
                },
            .as_user = true};
  }

  explicit Logger(const google::protobuf::Any& settings) {
    google::protobuf::StringValue path;
    settings.UnpackTo(&path);
    path_ = path.value();
  }

  grpc::Status OnDone(InterposedCall& call, grpc::Status status) override {
    const absl::MutexLock lock(&mutex_);
    std::ofstream(path_, std::ios::app)
        << call.method().name() << " " << status.error_code() << "\n";
    return status;
  }

 private:
  std::string path_;
  absl::Mutex mutex_;
};

// Three calls in any second.
class RateLimiter : public Interposer {
 public:
  std::optional<grpc::Status> OnRequest(InterposedCall&, google::protobuf::Message&) override {
    const absl::MutexLock lock(&mutex_);
    const absl::Time now = absl::Now();
    while (!times_.empty() && now - times_.front() > absl::Seconds(1)) times_.pop_front();
    if (times_.size() >= 3) {
      return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "three calls in a second");
    }
    times_.push_back(now);
    return std::nullopt;
  }

 private:
  absl::Mutex mutex_;
  std::deque<absl::Time> times_ ABSL_GUARDED_BY(mutex_);
};

// Answers Say("fake") itself, and passes on "other" as "a".
class Faker : public Interposer {
 public:
  std::optional<grpc::Status> OnRequest(InterposedCall& call,
                                        google::protobuf::Message& request) override {
    auto* const say = google::protobuf::DynamicCastToGenerated<v1::SayRequest>(&request);
    if (say == nullptr) return std::nullopt;
    if (say->word() == "other") say->set_word("a");
    if (say->word() != "fake") return std::nullopt;
    static_cast<v1::SayResponse&>(call.AddAnswer()).set_process(-7);
    return grpc::Status::OK;
  }
};

// Holds every request for a while.
template <int kMilliseconds>
class Delay : public Interposer {
 public:
  std::optional<grpc::Status> OnRequest(InterposedCall& call, google::protobuf::Message&) override {
    const grpc::Status waited = call.WaitFor(absl::Milliseconds(kMilliseconds));
    return waited.ok() ? std::nullopt : std::optional(waited);
  }
};

}  // namespace capbroker::testing

#endif  // TESTS_INTERPOSITION_INTERPOSERS_H_
