#include "io/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>

namespace switchyard::io {
namespace {

constexpr size_t kPiece = 1 << 20;  // bytes between two looks at the request to stop

// libcrypto fails here only where it gets no memory.
void require(bool done) {
  if (!done) throw std::bad_alloc();
}

std::string hex(std::span<const unsigned char> digest) {
  std::string text;
  for (const unsigned byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 0xf];
  }
  return text;
}

}  // namespace

std::optional<std::string> sha256(std::span<const std::byte> bytes, const std::stop_token& stop) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  require(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  while (!bytes.empty()) {
    if (stop.stop_requested()) return std::nullopt;
    const auto piece = bytes.first(std::min(kPiece, bytes.size()));
    require(EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1);
    bytes = bytes.subspan(piece.size());
  }
  std::array<unsigned char, 32> digest;
  require(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return hex(digest);
}

std::string sha256(std::span<const std::byte> bytes) { return *sha256(bytes, std::stop_token()); }

}  // namespace switchyard::io
