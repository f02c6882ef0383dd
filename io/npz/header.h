// The header of a .npy file. `where` names the array in messages; InputError.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::io::npz_format {

inline constexpr std::size_t kMaxHeader = 4096;  // ours are below 200 bytes

struct Header {
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes;  // of the array
};

// The length of the text that follows the first kPrefix bytes.
std::size_t header_size(std::string_view prefix, const std::string& where);

// That text. An array of more than most_bytes is refused.
Header parse_header(std::string_view text, std::uint64_t most_bytes, const std::string& where);

// Whether the bytes after the header are as many as the shape says.
void check_size(const Header& header, std::uint64_t found, const std::string& where);

}  // namespace switchyard::io::npz_format
