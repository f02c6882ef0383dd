#include "io/json.h"

#include <gtest/gtest.h>

#include "io/error.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

TEST(Json, ParsesWhatIsNotTooDeep) { EXPECT_EQ(parse_json("{\"a\": [1, [2]]}", "x")["a"][1][0], 2); }

TEST(Json, BadTextIsAnErrorThatNamesTheSource) {
  const std::string cases[] = {"", "{", "nonsense", std::string(17, '[') + std::string(17, ']'),
                               std::string(2'000'000, '[')};
  for (const auto& text : cases) {
    const auto message = message_of<InputError>([&] { parse_json(text, "file.png: its entry"); });
    EXPECT_EQ(message.find("file.png: its entry is "), 0u) << message << " for " << text.substr(0, 20);
  }
}

}  // namespace
}  // namespace switchyard::io
