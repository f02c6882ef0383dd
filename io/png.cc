#include "io/png.h"

#include <ATen/ops/empty.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/memory_budget.h"
#include "io/png/codec.h"
#include "io/png/text.h"

namespace switchyard::io {
namespace {

using namespace png_codec;

constexpr std::int64_t kMaxPixels = std::int64_t{1} << 28;

struct Reader {
  std::span<const std::byte> rest;
};

void on_read(png_structp png, png_bytep out, std::size_t size) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (size > reader->rest.size()) png_error(png, "the file ends early");
  std::memcpy(out, reader->rest.data(), size);
  reader->rest = reader->rest.subspan(size);
}

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw InputError(file + ": " + what);
}

// [H, W, 4] -> [H, W, 3], both uint8
at::Tensor over_white(const at::Tensor& rgba) {
  at::Tensor rgb = at::empty({rgba.size(0), rgba.size(1), 3}, at::kByte);
  const auto* from = rgba.const_data_ptr<std::uint8_t>();
  auto* to = rgb.mutable_data_ptr<std::uint8_t>();
  for (std::int64_t pixel = 0; pixel < rgba.size(0) * rgba.size(1); ++pixel, from += 4, to += 3)
    for (int c = 0; c < 3; ++c)
      to[c] = static_cast<std::uint8_t>((from[c] * from[3] + 255 * (255 - from[3]) + 127) / 255);
  return rgb;
}

}  // namespace

PngImage parse_png(std::span<const std::byte> bytes, const std::string& name, Alpha alpha) {
  const std::size_t channels = alpha == Alpha::drop ? 3 : 4;
  Reader reader{bytes};
  Codec codec(/*reading=*/true);
  png_uint_32 width = 0, height = 0;
  std::size_t packed_row = 0;  // bytes of a row in the file
  bool is_expected = false;
  const bool has_header = guarded(codec.png, [&] {
    png_set_read_fn(codec.png, &reader, on_read);
    png_set_user_limits(codec.png, kMaxSide, kMaxSide);
    png_set_crc_action(codec.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    // Colour profiles and such are not used, and texts are read by png/text.h.
    png_set_keep_unknown_chunks(codec.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_read_info(codec.png, codec.info);
    packed_row = png_get_rowbytes(codec.png, codec.info);
    png_set_expand(codec.png);
    png_set_strip_16(codec.png);
    if (alpha == Alpha::drop)
      png_set_strip_alpha(codec.png);
    else
      png_set_add_alpha(codec.png, 255, PNG_FILLER_AFTER);  // where there is none
    png_set_gray_to_rgb(codec.png);
    png_set_interlace_handling(codec.png);
    png_read_update_info(codec.png, codec.info);
    width = png_get_image_width(codec.png, codec.info);
    height = png_get_image_height(codec.png, codec.info);
    is_expected = png_get_rowbytes(codec.png, codec.info) == width * channels;
  });
  if (!has_header) fail(name, std::string("cannot be read as PNG: ") + codec.message.text);
  if (!is_expected) fail(name, "cannot be read as PNG: its pixel format does not convert to RGB");
  if (std::int64_t{width} * height > kMaxPixels)
    fail(name, c10::str("expected at most ", kMaxPixels, " pixels, found ", width, " x ", height));
  if (std::uint64_t{packed_row} * height / kMostInflated > bytes.size())
    fail(name,
         c10::str("damaged PNG: ", bytes.size(), " bytes cannot hold ", width, " x ", height, " pixels"));
  TextEntries text = read_png_text(bytes, name);

  at::Tensor pixels = at::empty({height, width, static_cast<std::int64_t>(channels)}, at::kByte);
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = pixels.data_ptr<std::uint8_t>() + y * width * channels;
  const bool done = guarded(codec.png, [&] {
    png_read_image(codec.png, rows.data());
    png_read_end(codec.png, codec.info);
  });
  if (!done) fail(name, std::string("damaged PNG: ") + codec.message.text);
  return {alpha == Alpha::drop ? pixels : over_white(pixels), std::move(text)};
}

PngImage read_png(const std::filesystem::path& path, Alpha alpha) {
  const MappedFile file(path);
  return parse_png(file.bytes(), path.string(), alpha);
}

}  // namespace switchyard::io
