#include "io/text.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace switchyard::io {

std::string quote(std::string_view text) {
  constexpr std::size_t kMost = 120;
  using Json = nlohmann::json;
  const std::string shown =
      Json(std::string(text.substr(0, kMost))).dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() <= kMost && shown.size() <= kMost) return shown;
  return shown.substr(0, kMost) + "...";
}

std::string printable(std::string_view text, bool one_line) {
  const auto escaped = [](const char* format, unsigned value) {
    char digits[8];
    std::snprintf(digits, sizeof digits, format, value);
    return std::string(digits);
  };
  std::string shown;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = 1;
    while (length < 4 && i + length < text.size() && !is_utf8(text.substr(i, length))) ++length;
    const auto sequence = text.substr(i, length);
    if (!is_utf8(sequence)) {
      shown += escaped("\\x%02x", static_cast<unsigned char>(text[i++]));
      continue;
    }
    i += length;
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(sequence[at]); };
    const unsigned point = length == 1   ? byte(0)
                           : length == 2 ? (byte(0) & 0x1Fu) << 6 | (byte(1) & 0x3Fu)
                           : length == 3 ? (byte(0) & 0xFu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu)
                                         : 0x10000;
    const bool layout = point == '\n' || point == '\t';
    const bool control = point < 0x20 || (point >= 0x7F && point < 0xA0);
    const bool direction = point == 0x61C || point == 0x200E || point == 0x200F ||
                           (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
    if (direction || (control && (one_line || !layout)))
      shown += escaped("\\u%04x", point);
    else
      shown += sequence;
  }
  return shown;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int more = lead < 0x80         ? 0
                     : lead >> 5 == 0x6  ? 1
                     : lead >> 4 == 0xE  ? 2
                     : lead >> 3 == 0x1E ? 3
                                         : -1;
    if (more < 0 || text.size() - i <= static_cast<std::size_t>(more)) return false;
    std::uint32_t point = more == 0 ? lead : lead & (0x3Fu >> more);
    for (int k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if (next >> 6 != 0x2) return false;
      point = point << 6 | (next & 0x3Fu);
    }
    constexpr std::uint32_t kLeast[4] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return false;
    i += 1 + static_cast<std::size_t>(more);
  }
  return true;
}

}  // namespace switchyard::io
