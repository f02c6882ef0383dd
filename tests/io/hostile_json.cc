#include "hostile.h"

namespace switchyard::io {

std::vector<Hostile> hostile_json() {
  std::string many = "[0";
  for (int i = 0; i < 1'000'000; ++i) many += ",0";
  return {
      {"nothing", "", "is not JSON"},
      {"an open object", "{", "is not JSON"},
      {"an open array", "[1,", "is not JSON"},
      {"a word", "nonsense", "is not JSON"},
      {"two values", "1 2", "is not JSON"},
      {"a key without quotes", "{a:1}", "is not JSON"},
      {"a key without a value", R"({"a"})", "is not JSON"},
      {"a comma at the end", "[1,]", "is not JSON"},
      {"a number that begins with 0", "[01]", "is not JSON"},
      {"an open text", R"(["a)", "is not JSON"},
      {"half a surrogate pair", R"(["\ud800"])", "is not JSON"},
      {"an escape that is none", R"(["\q"])", "is not JSON"},
      {"a line break in a text", "[\"\n\"]", "is not JSON"},
      {"not UTF-8", "[\"\xff\"]", "is not JSON"},
      {"overlong UTF-8", "[\"\xc0\xaf\"]", "is not JSON"},
      {"text after a NUL", std::string("{}\0{}", 5), "is not JSON, found a NUL byte at its byte 3"},
      {"a number out of range", "[1e999]", "number out of range"},
      {"a key twice", R"({"a":{"b":1,"b":2}})", R"(the key "b" appears twice)"},
      {"17 levels", std::string(17, '[') + std::string(17, ']'), "deeper nesting than 16 levels"},
      {"17 levels of objects",
       R"({"":{"":{"":{"":{"":{"":{"":{"":{"":{"":{"":{"":{"":{"":{"":{"":{"":0}}}}}}}}}}}}}}}}})",
       "deeper nesting than 16 levels"},
      {"two million levels", std::string(2'000'000, '['), "deeper nesting than 16 levels"},
      {"more than a million values", many + "]", "more than 1000000 values"},
  };
}

}  // namespace switchyard::io
