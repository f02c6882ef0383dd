#include "io/json.h"

#include <gtest/gtest.h>

#include <chrono>

#include "hostile.h"
#include "io/error.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

TEST(Json, ParsesWhatIsNotTooDeep) { EXPECT_EQ(parse_json("{\"a\": [1, [2]]}", "x")["a"][1][0], 2); }

TEST(Json, BadTextIsAnErrorThatNamesTheSource) {
  for (const Hostile& hostile : hostile_json()) {
    const auto message = message_of<InputError>([&] { parse_json(hostile.bytes, "file.png: its entry"); });
    EXPECT_TRUE(message.starts_with("file.png: its entry is ")) << message << " for " << hostile.what;
    EXPECT_TRUE(contains(message, hostile.message)) << hostile.what;
  }
}

TEST(Json, ValuesOfEveryKindKeepTheirPlace) {
  const std::string text =
      R"({"a":[null,true,-1,18446744073709551615,0.5,"\u00e9"],"b":{"c":{},"d":[[],[{}],1]},"e":"f"})";
  EXPECT_EQ(parse_json(text, "x"), nlohmann::json::parse(text));
  for (const char* alone : {"null", "0", "\"text\"", "[]", "{}"})
    EXPECT_EQ(parse_json(alone, "x"), nlohmann::json::parse(alone));
}

// 200,000 objects in one took the library's callback parser about half an hour.
TEST(Json, TimeGrowsWithTheLengthAlone) {
  std::string array = "[{}", object = R"({"0":{})";
  for (int i = 1; i < 200'000; ++i) {
    array += ",{}";
    object += ",\"" + std::to_string(i) + "\":{}";
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(parse_json(array + "]", "x").size(), 200'000u);
  EXPECT_EQ(parse_json(object + "}", "x").size(), 200'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(Json, MembersComeOneByOneInTheirOrder) {
  std::string seen;
  parse_members(
      R"({"b":[1,[2]],"a":{},"b":null,"":"x"})", "x", 3,
      [&](const std::string& key, const nlohmann::json& value) { seen += key + value.dump() + ";"; });
  EXPECT_EQ(seen, R"(b[1,[2]];a{};bnull;"x";)");
}

TEST(Json, BadMembersAreErrorsThatNameTheSource) {
  const Hostile cases[] = {{"nothing", "", "start with '{'"},
                           {"array", "[]", "start with '{'"},
                           {"cut off", R"({"a":1)", "syntax error at its byte 7 of 6"},
                           {"going on", "{}{}", "syntax error at its byte 3 of 4"},
                           {"deep", R"({"a":[[]]})", "deeper nesting than 2 levels"},
                           {"twice", R"({"a":{"b":1,"b":2}})", "the key \"b\" appears twice"}};
  for (const Hostile& hostile : cases) {
    const auto message = message_of<InputError>(
        [&] { parse_members(hostile.bytes, "file: header", 2, [](const auto&, const auto&) {}); });
    EXPECT_TRUE(message.starts_with("file: header is ")) << message;
    EXPECT_TRUE(contains(message, hostile.message)) << hostile.what;
  }
}

}  // namespace
}  // namespace switchyard::io
