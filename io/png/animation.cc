#include "io/animation.h"

#include <ATen/ATen.h>
#include <zlib.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "io/atomic_file.h"
#include "io/png/encode.h"

namespace switchyard::io {
namespace {

constexpr std::size_t kSignature = 8;

std::string big_endian(std::uint32_t value, int bytes = 4) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  return out;
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::string chunk(std::string_view type, std::string_view content) {
  const auto named = std::string(type) + std::string(content);
  const auto check = crc32(0, reinterpret_cast<const Bytef*>(named.data()), static_cast<uInt>(named.size()));
  return big_endian(static_cast<std::uint32_t>(content.size())) + named +
         big_endian(static_cast<std::uint32_t>(check));
}

// Of our own PNG: length, type, content and checksum, one after another.
void for_each_chunk(std::string_view png,
                    const std::function<void(std::string_view type, std::string_view content)>& visit) {
  for (std::size_t at = kSignature; at < png.size();) {
    const std::size_t size = number_at(png, at);
    visit(png.substr(at + 4, 4), png.substr(at + 8, size));
    at += 12 + size;
  }
}

struct Rectangle {
  std::int64_t x, y, width, height;
};

// Where two frames differ; one pixel where they do not: a frame cannot be empty.
Rectangle difference(const at::Tensor& before, const at::Tensor& now) {
  const auto differs = now.ne(before).any(2);
  const auto span = [](const at::Tensor& any) {
    const auto where = any.nonzero();
    if (where.numel() == 0) return std::pair<std::int64_t, std::int64_t>{0, 1};
    const auto first = where[0].item<std::int64_t>(), last = where[-1].item<std::int64_t>();
    return std::pair{first, last - first + 1};
  };
  const auto [y, height] = span(differs.any(1));
  const auto [x, width] = span(differs.any(0));
  return {x, y, width, height};
}

void require_one_size(const std::vector<Frame>& frames) {
  if (frames.empty()) throw std::invalid_argument("write_animation: expected frames, got none");
  for (const auto& frame : frames) {
    if (!frame.pixels.defined() || frame.pixels.sizes() != frames[0].pixels.sizes())
      throw std::invalid_argument("write_animation: expected frames of one size");
    if (frame.milliseconds < 0 || frame.milliseconds > 65'535)
      throw std::invalid_argument("write_animation: expected 0 to 65,535 milliseconds");
  }
}

}  // namespace

void write_animation(const std::filesystem::path& path, const std::vector<Frame>& frames) {
  require_one_size(frames);
  std::string file;
  std::uint32_t sequence = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto& pixels = frames[i].pixels;
    const auto part =
        i == 0 ? Rectangle{0, 0, pixels.size(1), pixels.size(0)} : difference(frames[i - 1].pixels, pixels);
    const auto png =
        encode_png(pixels.narrow(0, part.y, part.height).narrow(1, part.x, part.width), {}, path.string());
    std::string control = big_endian(sequence++);
    for (const auto value : {part.width, part.height, part.x, part.y})
      control += big_endian(static_cast<std::uint32_t>(value));
    control += big_endian(static_cast<std::uint32_t>(frames[i].milliseconds), 2) + big_endian(1000, 2);
    control += std::string(2, '\0');  // it stays, and replaces what was there
    if (i > 0) file += chunk("fcTL", control);
    for_each_chunk(png, [&](std::string_view type, std::string_view content) {
      if (type == "IHDR" && i == 0) {
        file = png.substr(0, kSignature) + chunk(type, content);
        file += chunk("acTL", big_endian(static_cast<std::uint32_t>(frames.size())) + big_endian(0));
        file += chunk("fcTL", control);
      } else if (type == "IDAT") {
        file += i == 0 ? chunk(type, content) : chunk("fdAT", big_endian(sequence++) + std::string(content));
      }
    });
  }
  write_file(path, file + chunk("IEND", {}));
}

}  // namespace switchyard::io
