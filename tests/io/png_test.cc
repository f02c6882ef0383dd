#include "io/png.h"

#include <ATen/ATen.h>
#include <png.h>
#include <sys/resource.h>
#include <zlib.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "hostile.h"
#include "io/error.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

using PngTest = Scratch;

// Pixels that differ along every axis.
at::Tensor pattern(std::int64_t height, std::int64_t width, std::int64_t channels) {
  return at::arange(height * width * channels, at::kLong)
      .mul(37)
      .remainder(256)
      .to(at::kByte)
      .view({height, width, channels});
}

TEST_F(PngTest, RoundTripOfRgbAtAwkwardSizes) {
  for (const auto& [height, width] :
       std::vector<std::pair<int, int>>{{1, 1}, {1, 33}, {31, 1}, {33, 31}, {256, 256}}) {
    const at::Tensor image = pattern(height, width, 3);
    write_png(file("a.png"), image);
    EXPECT_TRUE(at::equal(read_png(file("a.png")).pixels, image)) << height << " x " << width;
  }
}

TEST_F(PngTest, GreyIsReadAsRgb) {
  const at::Tensor image = pattern(31, 33, 1);
  write_png(file("a.png"), image);
  EXPECT_TRUE(at::equal(read_png(file("a.png")).pixels, image.expand({31, 33, 3})));
}

TEST_F(PngTest, StridedImageIsWrittenAsItLooks) {
  const at::Tensor image = pattern(3, 31, 33).permute({1, 2, 0});  // [3, H, W], as models give it
  write_png(file("a.png"), image);
  EXPECT_TRUE(at::equal(read_png(file("a.png")).pixels, image));
}

TEST_F(PngTest, RoundTripOfText) {
  std::string long_text;
  for (int i = 0; i < 20'000; ++i) long_text += "0123456789\n";
  const TextEntries text = {{"parameters", "sphere\nSteps: 25, Sampler: Euler"},
                            {"switchyard", R"({"version": 1, "class": "caf\u00e9"})"},
                            {"Latin-1", "caf\u00e9 \u00bd"},
                            {"UTF-8", "\u65e5\u672c \U0001F600 \u20ac"},
                            {"caf\u00e9", "keyword in Latin-1"},
                            {"empty", ""},
                            {"same", "first"},
                            {"same", "second"},
                            {std::string(79, 'k'), long_text},
                            {"long UTF-8", "\u20ac" + long_text}};
  write_png(file("a.png"), pattern(2, 2, 3), text);
  EXPECT_EQ(read_png(file("a.png")).text, text);
}

TEST_F(PngTest, TextIsStoredWhereOtherToolsLookForIt) {
  write_png(file("a.png"), pattern(2, 2, 3), {{"parameters", "caf\u00e9"}, {"other", "\u20ac"}});
  EXPECT_TRUE(contains(bytes_of("a.png"), std::string("tEXtparameters\0caf\xe9", 19)));
  EXPECT_TRUE(contains(bytes_of("a.png"), std::string("iTXtother\0\0\0\0\0\xe2\x82\xac", 17)));
}

TEST_F(PngTest, SameImageGivesTheSameBytes) {
  write_png(file("a.png"), pattern(31, 33, 3), {{"k", "v"}});
  write_png(file("b.png"), pattern(31, 33, 3), {{"k", "v"}});
  EXPECT_EQ(bytes_of("a.png"), bytes_of("b.png"));
}

TEST_F(PngTest, WriteRefusesWhatIsNoImage) {
  const std::vector<at::Tensor> images = {at::Tensor(),        pattern(2, 2, 3).to(at::kFloat),
                                          pattern(2, 2, 2),    pattern(2, 2, 4),
                                          pattern(0, 2, 3),    pattern(2, 0, 3),
                                          pattern(2, 2, 3)[0], pattern(32'769, 1, 1)};
  for (const at::Tensor& image : images) EXPECT_THROW(write_png(file("a.png"), image), std::invalid_argument);
  EXPECT_TRUE(names().empty());
}

TEST_F(PngTest, WriteRefusesTextThatPngCannotHold) {
  const TextEntries cases = {{"", "x"},         {" k", "x"},
                             {"k ", "x"},       {"a  b", "x"},
                             {"a\nb", "x"},     {std::string(80, 'k'), "x"},
                             {"\u20ac", "x"},   {"a\u00a0b", "x"},
                             {"\xff", "x"},     {"k", "\xff"},
                             {"k", "\xc0\xaf"}, {"k", "\xed\xa0\x80"},
                             {"k", "\xe2\x82"}, {"k", std::string("a\0b", 3)}};
  for (const auto& entry : cases)
    EXPECT_THROW(write_png(file("a.png"), pattern(2, 2, 3), {entry}), std::invalid_argument)
        << '"' << entry.first << "\": \"" << entry.second << '"';
  EXPECT_TRUE(names().empty());
}

TEST_F(PngTest, WriteIntoAMissingFolderIsAnOutputError) {
  EXPECT_THROW(write_png(file("missing/a.png"), pattern(2, 2, 3)), OutputError);
}

// One of the formats that PNG has, written by libpng itself; 3 x 2 pixels.
struct Format {
  const char* what;
  int color_type, bit_depth, interlace;
  std::vector<png_byte> rows;  // packed
  std::vector<int> rgb;        // expected
  std::vector<int> over_white = {};  // where it has alpha
};

std::vector<Format> formats() {
  return {
      {"1-bit grey",
       PNG_COLOR_TYPE_GRAY,
       1,
       0,
       {0b10100000, 0b01000000},
       {255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0}},
      {"16-bit grey",
       PNG_COLOR_TYPE_GRAY,
       16,
       0,
       {0, 0, 128, 128, 255, 255, 1, 1, 2, 2, 3, 3},
       {0, 0, 0, 128, 128, 128, 255, 255, 255, 1, 1, 1, 2, 2, 2, 3, 3, 3}},
      {"grey with alpha",
       PNG_COLOR_TYPE_GRAY_ALPHA,
       8,
       0,
       {9, 0, 8, 1, 7, 255, 6, 0, 5, 0, 4, 0},
       {9, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 6, 5, 5, 5, 4, 4, 4},
       {255, 255, 255, 254, 254, 254, 7, 7, 7, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
      {"interlaced RGB with alpha",
       PNG_COLOR_TYPE_RGB_ALPHA,
       8,
       1,
       {1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 11, 12, 13, 255, 14, 15, 16, 255, 17, 18, 19, 255},
       {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19},
       {255, 255, 255, 255, 255, 255, 255, 255, 255, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
      {"2-bit palette",
       PNG_COLOR_TYPE_PALETTE,
       2,
       0,
       {0b00011000, 0b10010000},
       {1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9, 4, 5, 6, 1, 2, 3},
       {255, 255, 255, 129, 130, 130, 7, 8, 9, 7, 8, 9, 129, 130, 130, 255, 255, 255}},
  };
}

void write_with_libpng(const std::filesystem::path& path, const Format& format) {
  std::FILE* out = std::fopen(path.c_str(), "wb");
  ASSERT_NE(out, nullptr);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, out);
  png_set_IHDR(png, info, 3, 2, format.bit_depth, format.color_type, format.interlace, 0, 0);
  const png_color palette[3] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
  const png_byte alpha[2] = {0, 128};
  if (format.color_type == PNG_COLOR_TYPE_PALETTE) {
    png_set_PLTE(png, info, palette, 3);
    png_set_tRNS(png, info, alpha, 2, nullptr);
  }
  png_write_info(png, info);
  const std::size_t row_bytes = format.rows.size() / 2;
  png_byte* rows[2] = {const_cast<png_byte*>(format.rows.data()),
                       const_cast<png_byte*>(format.rows.data()) + row_bytes};
  png_write_image(png, rows);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  std::fclose(out);
}

TEST_F(PngTest, EveryFormatIsReadAsEightBitRgb) {
  for (const Format& format : formats()) {
    write_with_libpng(file("a.png"), format);
    const at::Tensor expected = at::tensor(format.rgb, at::kInt).to(at::kByte).view({2, 3, 3});
    EXPECT_TRUE(at::equal(read_png(file("a.png")).pixels, expected)) << format.what;
    const auto& blended = format.over_white.empty() ? format.rgb : format.over_white;
    EXPECT_TRUE(at::equal(read_png(file("a.png"), Alpha::over_white).pixels,
                          at::tensor(blended, at::kInt).to(at::kByte).view({2, 3, 3})))
        << format.what;
  }
}

TEST_F(PngTest, EveryTruncationIsRefused) {
  write_png(file("a.png"), pattern(5, 7, 3), {{"k", "v"}, {"u", "\u20ac"}});
  const std::string bytes = bytes_of("a.png");
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_THROW(read_png(put("b.png", bytes.substr(0, size))), InputError) << size;
}

TEST_F(PngTest, EveryFlippedBitIsRefused) {
  write_png(file("a.png"), pattern(5, 7, 3), {{"k", "v"}});
  const std::string bytes = bytes_of("a.png");
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    EXPECT_THROW(read_png(put("b.png", flipped)), InputError) << "bit " << bit;
  }
}

TEST_F(PngTest, ImagesBeyondTheLimitsAreRefusedBeforeTheyAreAllocated) {
  for (const auto& [width, height, message] : std::vector<std::tuple<png_uint_32, png_uint_32, const char*>>{
           {32'769, 1, "cannot be read"}, {1, 0x7fffffff, "cannot be read"}, {32'768, 32'768, "pixels"}}) {
    std::FILE* out = std::fopen(file("a.png").c_str(), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, out);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
    png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_GRAY, 0, 0, 0);
    png_write_info(png, info);
    const png_byte nothing[] = {0x78, 0x9c, 3, 0, 0, 0, 0, 1};  // a zlib stream of no bytes
    png_write_chunk(png, reinterpret_cast<png_const_bytep>("IDAT"), nothing, sizeof nothing);
    png_destroy_write_struct(&png, &info);
    std::fclose(out);
    EXPECT_TRUE(contains(message_of<InputError>([&] { read_png(file("a.png")); }), message))
        << width << " x " << height;
  }
}

TEST_F(PngTest, CompressedTextIsRead) {
  const auto compressed = [](const std::string& head, const std::string& text) {
    std::string bytes(::compressBound(text.size()), '\0');
    uLongf size = bytes.size();
    ::compress(reinterpret_cast<Bytef*>(bytes.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
               text.size());
    return head + bytes.substr(0, size);
  };
  const std::string nul(1, '\0'), text(100'000, 'x');
  const std::string bytes =
      png_with(png_chunk("zTXt", compressed("z" + nul + nul, "caf\xe9")) +
               png_chunk("iTXt", compressed("i" + nul + "\x01" + nul + "en" + nul + "key" + nul, text)) +
               png_chunk("tEXt", "c" + nul + "string" + nul));
  EXPECT_EQ(read_png(put("a.png", bytes)).text,
            (TextEntries{{"z", "caf\u00e9"}, {"i", text}, {"c", "string"}}));
}

TEST_F(PngTest, ChunksThatAreNotUsedAreSkipped) {
  const std::string rubbish(40, '\xff');
  std::string chunks;
  for (const char* type : {"gAMA", "cHRM", "sRGB", "iCCP", "sPLT", "hIST", "pHYs", "tIME", "eXIf", "abCd"})
    chunks += png_chunk(type, rubbish);
  EXPECT_EQ(read_png(put("a.png", png_with(chunks))).pixels.numel(), 3);
}

// What a chunk claims or unpacks to must not become memory.
TEST_F(PngTest, HostileFilesAreRefusedWithAReasonAndWithinBounds) {
  const auto files = hostile_pngs();
  const auto peak = [] {  // of this program so far, in KiB
    struct rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const auto before = peak();
  for (const Hostile& hostile : files) {
    SCOPED_TRACE(hostile.what);
    const std::string message =
        message_of<InputError>([&] { parse_png(std::as_bytes(std::span(hostile.bytes)), "file.png"); });
    EXPECT_TRUE(message.starts_with("file.png: ")) << message;
    EXPECT_TRUE(contains(message, hostile.message));
    EXPECT_LT(message.size(), 600u);
    EXPECT_EQ(message.find_first_of("\x1b\n"), message.npos) << message;
  }
  EXPECT_LT(peak() - before, 500'000);
}

TEST_F(PngTest, WriteRefusesMoreTextThanIsRead) {
  const TextEntries most = {{"k", std::string(7'999'999, 'x')}}, many(1000, {"k", "v"});
  for (TextEntries text : {most, many}) {
    write_png(file("a.png"), pattern(2, 2, 3), text);
    EXPECT_EQ(read_png(file("a.png")).text, text);
    text.emplace_back("k", "");
    EXPECT_THROW(write_png(file("b.png"), pattern(2, 2, 3), text), std::invalid_argument);
  }
}

TEST_F(PngTest, OtherFilesAreNamed) {
  EXPECT_TRUE(
      contains(message_of<InputError>([&] { read_png(put("a.png", "GIF89a, not a PNG")); }), "a.png"));
  EXPECT_THROW(read_png(file("missing.png")), InputError);
}

}  // namespace
}  // namespace switchyard::io
