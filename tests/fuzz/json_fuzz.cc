// JSON: what is accepted is what the library's own parser reads, value by value and member by member.
#include "io/error.h"
#include "io/json.h"
#include "readers.h"

namespace switchyard::fuzz {

using Json = nlohmann::json;

bool fuzz_json(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  Json members = Json::object();
  bool has_members = true, is_key_twice = false;
  try {
    io::parse_members(text, "fuzz", 16, [&](const std::string& key, const Json& value) {
      is_key_twice = !members.emplace(key, value).second || is_key_twice;
    });
  } catch (const io::InputError&) {
    has_members = false;
  }
  try {
    const Json json = io::parse_json(text, "fuzz");
    require(json == Json::parse(text), "another value than the library's");
    static_cast<void>(json.dump());  // throws for a text that is not UTF-8
    require(has_members == text.starts_with('{'), "parse_members takes every object");
    require(!has_members || (members == json && !is_key_twice), "other members than parse_json's");
    return true;
  } catch (const io::InputError& error) {
    const bool is_syntax = std::string_view(error.what()).starts_with("fuzz is not JSON in UTF-8");
    require(!is_syntax || !Json::accept(text), "refused what is JSON");
    require(!has_members || is_key_twice, "parse_members takes what parse_json refuses");
    return false;
  }
}

std::vector<std::string> json_seeds() {
  std::vector<std::string> seeds = {R"({"version": 2, "class": 3, "seed": 18446744073709551615, )"
                                    R"("settings": {"guidance": -1.5e-3, "edits": [true, null]}})",
                                    R"([-9223372036854775808, 0.1, 1E5, 123e-2, -0, )"
                                    R"("\u00e9\n\"\\\/\b\f\r\t\ud83d\ude00", "é€😀", false])",
                                    " \t\r\n{ \"a\" : [ ] , \"\" : { } } ", "\xef\xbb\xbf[1]"};
  append(seeds, io::hostile_json());
  return seeds;
}

}  // namespace switchyard::fuzz
