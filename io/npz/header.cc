#include "io/npz/header.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "io/error.h"
#include "io/npz/format.h"
#include "io/text.h"

namespace switchyard::io::npz_format {
namespace {

constexpr std::size_t kMaxDimensions = 64;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw InputError(where + ": " + what);
}

// What stands between the parentheses of a tuple: "2, 3", "2," or nothing.
std::optional<std::vector<std::uint64_t>> parse_tuple(std::string_view text) {
  std::vector<std::uint64_t> numbers;
  while (!text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), numbers.emplace_back());
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty() && text.front() != ',') return std::nullopt;
    text.remove_prefix(std::min<std::size_t>(text.size(), text.starts_with(", ") ? 2 : 1));
  }
  return numbers;
}

}  // namespace

// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } and spaces.
Header parse_header(std::string_view text, std::uint64_t most_bytes, const std::string& where) {
  const std::string_view found = text;
  const auto take = [&](std::string_view expected) {
    if (!text.starts_with(expected))
      fail(where, "expected a row-major array of numbers, found " + quote(found));
    text.remove_prefix(expected.size());
  };
  const auto take_until = [&](char end) {
    const std::string_view taken = text.substr(0, text.find(end));
    text.remove_prefix(taken.size());
    return taken;
  };
  take("{'descr': '");
  const std::string_view dtype = take_until('\'');
  take("', 'fortran_order': False, 'shape': (");
  const std::string_view shape = take_until(')');
  take("), }");
  if (text.find_first_not_of(" \n") != text.npos) take("spaces");

  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return d.first == dtype; });
  if (known == kDtypes.end()) fail(where, "unsupported dtype " + quote(dtype));
  const auto sizes = parse_tuple(shape);
  if (!sizes) fail(where, "expected a shape, found " + quote(shape));
  if (sizes->size() > kMaxDimensions)
    fail(where, "expected at most 64 dimensions, found " + std::to_string(sizes->size()));
  Header header{known->second, {}, c10::elementSize(known->second)};
  std::uint64_t extent = header.bytes;  // counts a zero as one: strides are products of the other sizes
  for (const std::uint64_t size : *sizes) {
    const std::uint64_t steps = std::max<std::uint64_t>(size, 1);
    if (steps > most_bytes || extent > most_bytes / steps)
      fail(where,
           "expected at most " + std::to_string(most_bytes) + " bytes, found the shape " + quote(shape));
    extent *= steps;
    header.bytes *= size;
    header.shape.push_back(static_cast<std::int64_t>(size));
  }
  return header;
}

std::size_t header_size(std::string_view prefix, const std::string& where) {
  if (prefix.substr(0, kMagic.size()) != kMagic) fail(where, "expected a .npy file of version 1.0");
  const std::size_t size =
      static_cast<unsigned char>(prefix[8]) | std::size_t{static_cast<unsigned char>(prefix[9])} << 8;
  if (size > kMaxHeader)
    fail(where, "expected a header of at most 4096 bytes, found " + std::to_string(size));
  return size;
}

void check_size(const Header& header, std::uint64_t found, const std::string& where) {
  if (header.bytes != found)
    fail(where,
         "expected " + std::to_string(header.bytes) + " bytes for its shape, found " + std::to_string(found));
}

}  // namespace switchyard::io::npz_format
