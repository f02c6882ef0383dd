#include "io/json.h"

#include "io/error.h"

namespace switchyard::io {

nlohmann::json parse_json(std::string_view text, const std::string& source) {
  constexpr int kDeepest = 16;
  using Event = nlohmann::json::parse_event_t;
  const auto check_depth = [&](int depth, Event event, nlohmann::json&) {
    const bool opens = event == Event::array_start || event == Event::object_start;
    if (opens && depth >= kDeepest) {
      throw InputError(source + " is JSON nested deeper than " + std::to_string(kDeepest) + " levels");
    }
    return true;
  };
  auto json = nlohmann::json::parse(text, check_depth, /*allow_exceptions=*/false);
  if (json.is_discarded()) throw InputError(source + " is not JSON");
  return json;
}

}  // namespace switchyard::io
