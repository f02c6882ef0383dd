// The SHA-256 digest of bytes (FIPS 180-4), as 64 lower-case hex digits.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace switchyard::io {

std::string sha256(std::span<const std::byte> bytes);

}  // namespace switchyard::io
