// JSON from outside: what a file claims about itself.
//
// Time and memory grow with the length of the text and no faster. Of what JSON allows, these are refused:
// nesting deeper than a bound (printing such a value again would exhaust the stack), a key twice in one
// object (readers disagree on which counts), and more than a million values (some 100 MB).
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace switchyard::io {

/// `source` names the text in messages ("model.safetensors: its metadata"). Throws InputError for text that
/// is not JSON (and names the field from which on it is none: that of a bare NaN), is refused as above, or nests
/// deeper than 16 levels.
nlohmann::json parse_json(std::string_view text, const std::string& source);

/// The same of a whole file; throws also where it cannot be read.
nlohmann::json read_json(const std::filesystem::path& file);

/// One large object, member by member in its order, so that no more than one member is in memory: whether a
/// key of this object comes twice is for `member` to find out. `deepest` counts the object itself. Throws
/// InputError as above, where the million counts for each member, for text that does not start with '{', and
/// what `member` throws.
void parse_members(std::string_view text, const std::string& source, std::size_t deepest,
                   const std::function<void(const std::string& key, const nlohmann::json& value)>& member);

}  // namespace switchyard::io
