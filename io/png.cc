#include "io/png.h"

#include <ATen/ops/empty.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/mapped_file.h"

namespace switchyard::io {
namespace {

constexpr std::int64_t kMaxSide = 32'768;
constexpr std::int64_t kMaxPixels = std::int64_t{1} << 28;
constexpr png_alloc_size_t kMaxChunk = 8'000'000;

// libpng reports an error by longjmp, which skips destructors. So it is called only inside guarded(), by
// callables that hold nothing with a destructor; everything with one lives outside.
template <class Calls>
bool guarded(png_structp png, const Calls& calls) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  calls();
  return true;
}

struct Message {
  char text[160] = "out of memory";
};

void on_error(png_structp png, png_const_charp what) {
  auto* message = static_cast<Message*>(png_get_error_ptr(png));
  std::snprintf(message->text, sizeof message->text, "%s", what);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}  // about colour profiles and such, which are not used here

struct Reader {
  std::span<const std::byte> rest;
};

void on_read(png_structp png, png_bytep out, std::size_t size) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (size > reader->rest.size()) png_error(png, "the file ends early");
  std::memcpy(out, reader->rest.data(), size);
  reader->rest = reader->rest.subspan(size);
}

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

// A libpng reader or writer with its error message.
struct Codec {
  explicit Codec(bool reading) : is_reader(reading) {
    png = reading ? png_create_read_struct(PNG_LIBPNG_VER_STRING, &message, on_error, on_warning)
                  : png_create_write_struct(PNG_LIBPNG_VER_STRING, &message, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
    if (info != nullptr) return;
    destroy();
    throw std::bad_alloc();
  }
  ~Codec() { destroy(); }
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;
  void destroy() {
    if (is_reader)
      png_destroy_read_struct(&png, &info, nullptr);
    else
      png_destroy_write_struct(&png, &info);
  }

  bool is_reader;
  Message message;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

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

std::string from_latin1(std::string_view latin1) {
  std::string text;
  for (const char c : latin1) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text.push_back(c);
    } else {
      text.push_back(static_cast<char>(0xC0 | byte >> 6));
      text.push_back(static_cast<char>(0x80 | (byte & 0x3F)));
    }
  }
  return text;
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

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw InputError(path.string() + ": " + what);
}

TextEntries read_text(const Codec& codec, const std::filesystem::path& path) {
  png_textp chunks = nullptr;
  int count = 0;
  png_get_text(codec.png, codec.info, &chunks, &count);  // reports no errors
  TextEntries entries;
  for (int i = 0; i < count; ++i) {
    const png_text& chunk = chunks[i];
    const std::string keyword = from_latin1(chunk.key);
    const bool is_utf8 = chunk.compression >= PNG_ITXT_COMPRESSION_NONE;
    const std::string text(chunk.text == nullptr ? "" : chunk.text,
                           is_utf8 ? chunk.itxt_length : chunk.text_length);
    if (is_utf8 && !decode_utf8(text)) fail(path, "text entry \"" + keyword + "\": expected UTF-8");
    entries.emplace_back(keyword, is_utf8 ? text : from_latin1(text));
  }
  return entries;
}

}  // namespace

void write_png(const std::filesystem::path& path, const at::Tensor& image, const TextEntries& text) {
  if (!image.defined() || image.scalar_type() != at::kByte || image.dim() != 3 ||
      (image.size(2) != 1 && image.size(2) != 3))
    throw std::invalid_argument(
        "write_png: expected uint8 [height, width, 1 or 3], got " +
        (image.defined() ? c10::str(image.scalar_type(), " ", image.sizes()) : "no tensor"));
  if (image.size(0) < 1 || image.size(1) < 1 || image.size(0) > kMaxSide || image.size(1) > kMaxSide)
    throw std::invalid_argument(
        c10::str("write_png: expected sides of 1 to ", kMaxSide, ", got ", image.sizes()));

  std::vector<Chunk> chunks;
  for (const auto& [keyword, value] : text) chunks.push_back(make_chunk(keyword, value));
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
  if (!done) throw OutputError(path.string() + ": cannot be encoded as PNG: " + codec.message.text);
  write_file(path, encoded);
}

PngImage read_png(const std::filesystem::path& path) {
  const MappedFile file(path);
  Reader reader{file.bytes()};
  Codec codec(/*reading=*/true);
  png_uint_32 width = 0, height = 0;
  bool is_rgb8 = false;
  const bool has_header = guarded(codec.png, [&] {
    png_set_read_fn(codec.png, &reader, on_read);
    png_set_user_limits(codec.png, kMaxSide, kMaxSide);
    png_set_chunk_malloc_max(codec.png, kMaxChunk);
    png_set_crc_action(codec.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(codec.png, codec.info);
    png_set_expand(codec.png);
    png_set_scale_16(codec.png);
    png_set_strip_alpha(codec.png);
    png_set_gray_to_rgb(codec.png);
    png_set_interlace_handling(codec.png);
    png_read_update_info(codec.png, codec.info);
    width = png_get_image_width(codec.png, codec.info);
    height = png_get_image_height(codec.png, codec.info);
    is_rgb8 = png_get_rowbytes(codec.png, codec.info) == width * std::size_t{3};
  });
  if (!has_header) fail(path, std::string("cannot be read as PNG: ") + codec.message.text);
  if (!is_rgb8) fail(path, "cannot be read as PNG: its pixel format does not convert to RGB");
  if (std::int64_t{width} * height > kMaxPixels)
    fail(path, c10::str("expected at most ", kMaxPixels, " pixels, found ", width, " x ", height));

  at::Tensor pixels = at::empty({height, width, 3}, at::kByte);
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = pixels.data_ptr<std::uint8_t>() + y * width * 3;
  const bool done = guarded(codec.png, [&] {
    png_read_image(codec.png, rows.data());
    png_read_end(codec.png, codec.info);
  });
  if (!done) fail(path, std::string("damaged PNG: ") + codec.message.text);
  return {pixels, read_text(codec, path)};
}

}  // namespace switchyard::io
