// Text from outside, made fit for messages and for JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace switchyard::io {

// In quotation marks, cut after 120 bytes, escaped to plain ASCII: what a file says must not flood the
// terminal or carry control characters into it.
std::string quote(std::string_view text);

// What may go to a terminal, whatever it came from: control characters (C0, DEL, C1) and those that turn the direction of
// text are escaped as in JSON, bytes that are no UTF-8 as \xff. Line breaks and tabs stay, unless it has to be one line.
std::string printable(std::string_view text, bool one_line = false);

// The number that the whole text is in decimal digits, perhaps behind a minus; nothing for other text.
std::optional<std::int64_t> whole_number(std::string_view text);

// Whether these are whole, shortest-form UTF-8 sequences of code points up to U+10FFFF without surrogates.
bool is_utf8(std::string_view text);

}  // namespace switchyard::io
