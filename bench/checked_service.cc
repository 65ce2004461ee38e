#include "bench/checked_service.h"

#include "absl/strings/str_cat.h"

namespace capbroker::bench {

v1::CheckedLimits LimitsOfChecked(int more_names) {
  v1::CheckedLimits limits;
  limits.add_colors(v1::COLOR_RED);
  limits.add_words("word");
  limits.add_blobs("blob");
  limits.add_ids(7);
  limits.add_names("*.example.org");
  for (int i = 0; i < more_names; ++i) {
    limits.add_names(absl::StrCat(i % 2 == 0 ? "*." : "", "host", i, ".example.net"));
  }
  limits.add_paths("/srv/data/");
  limits.add_ranges("192.0.2.0/24");
  limits.set_size(100);
  limits.set_level(5);
  limits.set_flags(6);
  return limits;
}

v1::AskRequest AllowedQuestion() {
  v1::AskRequest request;
  request.set_color(v1::COLOR_RED);
  request.set_word("word");
  request.set_blob("blob");
  request.set_id(7);
  request.set_name("www.example.org");
  request.set_path("/srv/data/page.html");
  request.set_address("192.0.2.1");
  request.set_size(100);
  request.set_level(5);
  request.set_flags(2);
  return request;
}

}  // namespace capbroker::bench
