#include "io/text.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace switchyard::io {
namespace {

using namespace std::string_literals;

TEST(TextTest, WholeSequencesAreUtf8) {
  for (const std::string& text :
       {""s, "plain"s, "\0"s, "\x7f"s, "\xc2\x80"s, "n\xc3\xa9"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s,
        "\xee\x80\x80"s, "\xef\xbf\xbf"s, "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s})
    EXPECT_TRUE(is_utf8(text)) << quote(text);
}

TEST(TextTest, BrokenSequencesAreNot) {
  for (const std::string& text :
       {"\x80"s, "\xbf"s, "\xc3"s, "\xc3\x28"s, "\xc0\xaf"s, "\xc1\xbf"s, "\xe0\x9f\xbf"s, "\xe2\x82"s,
        "\xed\xa0\x80"s, "\xf0\x8f\xbf\xbf"s, "\xf0\x90\x80"s, "\xf4\x90\x80\x80"s, "\xf8\x88\x80\x80\x80"s,
        "\xff"s, "ok\xfe"s})
    EXPECT_FALSE(is_utf8(text)) << quote(text);
}

// What turned up in metadata, class names and tensor names of hostile files.
TEST(TextTest, PrintableTextCannotSteerATerminal) {
  for (const auto& [text, many, one] : std::vector<std::array<std::string, 3>>{
           {"caf\xc3\xa9 \xe2\x9c\x93 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x9c\x93 \xf0\x9f\x98\x80",
            "caf\xc3\xa9 \xe2\x9c\x93 \xf0\x9f\x98\x80"},
           {"a\n\tb", "a\n\tb", "a\\u000a\\u0009b"},
           {"\x1b[31m\x07\r", "\\u001b[31m\\u0007\\u000d", "\\u001b[31m\\u0007\\u000d"},
           {"\x7f\xc2\x9b\xc2\xa0", "\\u007f\\u009b\xc2\xa0", "\\u007f\\u009b\xc2\xa0"},
           {"\xe2\x80\xae\xe2\x80\x8f\xe2\x81\xa6\xd8\x9c", "\\u202e\\u200f\\u2066\\u061c",
            "\\u202e\\u200f\\u2066\\u061c"},
           {"\xff"
            "a\xe2\x80",
            "\\xffa\\xe2\\x80", "\\xffa\\xe2\\x80"},
           {std::string("\0", 1), "\\u0000", "\\u0000"},
           {"", "", ""}}) {
    EXPECT_EQ(printable(text), many) << quote(text);
    EXPECT_EQ(printable(text, true), one) << quote(text);
  }
}

TEST(TextTest, QuotedTextIsShortAndPlain) {
  EXPECT_EQ(quote("a\"b"), "\"a\\\"b\"");
  EXPECT_EQ(quote("\x1b\n"), "\"\\u001b\\n\"");
  EXPECT_EQ(quote(std::string(117, 'x')), "\"" + std::string(117, 'x') + "\"");
  EXPECT_EQ(quote(std::string(100'000, 'x')), "\"" + std::string(119, 'x') + "...");
  EXPECT_EQ(quote(std::string(119, '\n')).size(), 123u);
}

}  // namespace
}  // namespace switchyard::io
