// The SHA-256 digest of bytes (FIPS 180-4), as 64 lower-case hex digits; by libcrypto, which uses the processor's
// instructions for it.
//
// Safe to call from any thread, a worker beside the drawing of images among them: no state is shared.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

namespace switchyard::io {

std::string sha256(std::span<const std::byte> bytes);

/// The same, given up within milliseconds of a request to stop: then nothing.
std::optional<std::string> sha256(std::span<const std::byte> bytes, const std::stop_token& stop);

}  // namespace switchyard::io
