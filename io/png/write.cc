#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/png.h"
#include "io/png/codec.h"
#include "io/png/encode.h"

namespace switchyard::io {
namespace {

using namespace png_codec;

void on_write(png_structp png, png_bytep data, std::size_t size) {
  bool stored = true;
  try {
    static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(data), size);
  } catch (...) {
    stored = false;
  }
  if (!stored) png_error(png, "out of memory");
}

void on_flush(png_structp) {}

// The code points of a UTF-8 text; nothing for a malformed, overlong or surrogate sequence.
std::optional<std::u32string> decode_utf8(std::string_view text) {
  std::u32string points;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    const int following = lead < 0x80       ? 0
                          : lead >> 5 == 6  ? 1
                          : lead >> 4 == 14 ? 2
                          : lead >> 3 == 30 ? 3
                                            : -1;
    if (following < 0 || text.size() - i < static_cast<std::size_t>(following)) return std::nullopt;
    char32_t point = following == 0 ? lead : lead & (0x3F >> following);
    for (int k = 0; k < following; ++k) {
      const auto byte = static_cast<unsigned char>(text[i++]);
      if (byte >> 6 != 2) return std::nullopt;
      point = point << 6 | (byte & 0x3F);
    }
    constexpr char32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
    if (point < kSmallest[following] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
      return std::nullopt;
    points.push_back(point);
  }
  return points;
}

// Nothing where a code point has no place in Latin-1, or one only among its unprintable controls.
std::optional<std::string> to_latin1(const std::u32string& points) {
  std::string latin1;
  for (const char32_t point : points) {
    if (point > 0xFF || (point >= 0x7F && point < 0xA0)) return std::nullopt;
    latin1.push_back(static_cast<char>(point));
  }
  return latin1;
}

// One text chunk in the bytes that libpng wants.
struct Chunk {
  std::string keyword, text;
  bool is_latin1;
};

Chunk make_chunk(const std::string& keyword, const std::string& text) {
  const auto refuse = [&](const char* why) {
    throw std::invalid_argument("write_png: text entry \"" + keyword + "\": " + why);
  };
  const auto key_points = decode_utf8(keyword);
  const auto key = key_points ? to_latin1(*key_points) : std::nullopt;
  const auto is_printable = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0xA0;  // the specification excludes the no-break space
  };
  if (!key || key->empty() || key->size() > 79 || !std::all_of(key->begin(), key->end(), is_printable))
    refuse("expected a keyword of 1 to 79 printable Latin-1 characters");
  if (key->front() == ' ' || key->back() == ' ' || key->find("  ") != std::string::npos)
    refuse("expected a keyword without leading, trailing or double spaces");
  const auto points = decode_utf8(text);
  if (!points) refuse("expected text in UTF-8");
  if (points->find(U'\0') != std::u32string::npos) refuse("expected text without NUL characters");
  const auto latin1 = to_latin1(*points);
  return {*key, latin1 ? *latin1 : text, latin1.has_value()};
}

}  // namespace

std::string encode_png(const at::Tensor& image, const TextEntries& text, const std::string& name) {
  if (!image.defined() || image.scalar_type() != at::kByte || image.dim() != 3 ||
      (image.size(2) != 1 && image.size(2) != 3))
    throw std::invalid_argument(
        "write_png: expected uint8 [height, width, 1 or 3], got " +
        (image.defined() ? c10::str(image.scalar_type(), " ", image.sizes()) : "no tensor"));
  if (image.size(0) < 1 || image.size(1) < 1 || image.size(0) > kMaxSide || image.size(1) > kMaxSide)
    throw std::invalid_argument(
        c10::str("write_png: expected sides of 1 to ", kMaxSide, ", got ", image.sizes()));

  std::vector<Chunk> chunks;
  std::size_t size = 0;
  for (const auto& [keyword, value] : text) {
    chunks.push_back(make_chunk(keyword, value));
    size += keyword.size() + value.size();
  }
  if (size > kMaxText || text.size() > kMaxTextEntries)
    throw std::invalid_argument(c10::str("write_png: expected at most ", kMaxText, " bytes of text in ",
                                         kMaxTextEntries, " entries, got ", size, " in ", text.size()));
  std::vector<png_text> entries(chunks.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    entries[i].compression = chunks[i].is_latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    entries[i].key = chunks[i].keyword.data();
    entries[i].text = chunks[i].text.data();
    (chunks[i].is_latin1 ? entries[i].text_length : entries[i].itxt_length) = chunks[i].text.size();
  }

  const at::Tensor pixels = image.detach().to(at::kCPU).contiguous();
  const auto height = static_cast<png_uint_32>(pixels.size(0)),
             width = static_cast<png_uint_32>(pixels.size(1));
  const auto* data = pixels.const_data_ptr<std::uint8_t>();
  const std::size_t row_bytes = width * static_cast<std::size_t>(pixels.size(2));
  const int color = pixels.size(2) == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY;

  std::string encoded;
  Codec codec(/*reading=*/false);
  const bool done = guarded(codec.png, [&] {
    png_set_write_fn(codec.png, &encoded, on_write, on_flush);
    png_set_IHDR(codec.png, codec.info, width, height, 8, color, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!entries.empty())
      png_set_text(codec.png, codec.info, entries.data(), static_cast<int>(entries.size()));
    png_write_info(codec.png, codec.info);
    for (png_uint_32 y = 0; y < height; ++y) png_write_row(codec.png, data + y * row_bytes);
    png_write_end(codec.png, nullptr);
  });
  if (!done) throw OutputError(name + ": cannot be encoded as PNG: " + codec.message.text);
  return encoded;
}

void write_png(const std::filesystem::path& path, const at::Tensor& image, const TextEntries& text) {
  write_file(path, encode_png(image, text, path.string()));
}

}  // namespace switchyard::io
