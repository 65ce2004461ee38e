// A service of one's own, and a worker that may count English words with it.
#include <cstdio>
#include <string>

#include "absl/strings/str_split.h"
#include "client/broker.h"
#include "examples/word_counter/word_counter.capbroker.h"
#include "examples/word_counter/word_counter.dispatch.h"
#include "services/service.h"

namespace wc = examples::word_counter::v1;

// Runs in a service process of its own. The limits were checked before it is called.
class WordCounterService : public wc::WordCounter::Service {
  grpc::Status CountWords(grpc::ServerContext*, const wc::CountWordsRequest* request,
                          wc::CountWordsResponse* response) override {
    const std::vector<std::string> words = absl::StrSplit(request->text(), ' ', absl::SkipEmpty());
    response->set_count(static_cast<uint32_t>(words.size()));
    return grpc::Status::OK;
  }
};

// Runs in a worker, which can reach nothing but its channel.
int CountInWorker(capbroker::Grants grants) {
  const auto counter = grants.Stub<wc::WordCounter>("counter");
  const auto count = [&counter](const std::string& language) {
    grpc::ClientContext context;
    wc::CountWordsRequest request;
    request.set_language(language);
    request.set_text("holding a channel is the authority");
    wc::CountWordsResponse response;
    const grpc::Status status = counter->CountWords(&context, request, &response);
    return status.ok() ? std::to_string(response.count()) : status.error_message();
  };
  std::printf("en: %s\n", count("en").c_str());
  std::printf("de: %s\n", count("de").c_str());
  return 0;
}

int main() {
  capbroker::Broker broker = capbroker::Broker::StartOrDie();  // before any thread
  wc::WordCounterLimits limits;
  limits.add_languages("en");
  capbroker::WorkerOptions options;
  options.entry = CountInWorker;
  options.grants = {{"counter", capbroker::Serve<WordCounterService>(limits)}};
  options.standard_output = *capbroker::Duplicate(capbroker::FdRef::FromRaw(1));
  absl::StatusOr<capbroker::Worker> worker = broker.Launch(std::move(options));
  if (!worker.ok()) {
    std::fprintf(stderr, "%s\n", worker.status().ToString().c_str());
    return 1;
  }
  return worker->Wait().exit_code();
}
