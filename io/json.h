// JSON from outside: what a file claims about itself.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace switchyard::io {

/// `source` names the text in messages ("model.safetensors: its metadata"). Throws InputError for text that
/// is not JSON or nests deeper than 16 levels (printing such a value again would exhaust the stack).
nlohmann::json parse_json(std::string_view text, const std::string& source);

}  // namespace switchyard::io
