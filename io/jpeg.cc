#include "io/jpeg.h"

#include <ATen/ops/empty.h>
#include <jpeglib.h>
// Needs jpeglib.h before it.
#include <jerror.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdint>
#include <new>
#include <vector>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/memory_budget.h"

namespace switchyard::io {
namespace {

constexpr JDIMENSION kMaxSide = 32'768;
constexpr std::int64_t kMaxPixels = std::int64_t{1} << 28;
constexpr long kMaxMemory = 1L << 30;  // libjpeg's own: the coefficients of a progressive image
constexpr int kMaxScans = 100;         // each of them costs time in the whole image's size

// libjpeg reports an error by a function that must not return. Ours jumps, which skips destructors, so libjpeg
// is called only inside guarded(), by callables that hold nothing with a destructor.
struct Decoder {
  Decoder() {
    info.err = jpeg_std_error(&errors);
    errors.error_exit = [](j_common_ptr common) {
      auto* self = static_cast<Decoder*>(common->client_data);
      common->err->format_message(common, self->message.data());
      std::longjmp(self->jump, 1);
    };
    errors.emit_message = [](j_common_ptr common, int level) {
      if (level >= 0) return;  // traces
      switch (common->err->msg_code) {
        case JWRN_EXTRANEOUS_DATA:  // padding before a marker, which some cameras write
        case JWRN_ADOBE_XFORM:
        case JWRN_JFIF_MAJOR:
        case JWRN_BOGUS_ICC:
          return;
        default:  // pixels are lost
          common->err->error_exit(common);
      }
    };
    progress.progress_monitor = [](j_common_ptr common) {
      if (reinterpret_cast<j_decompress_ptr>(common)->input_scan_number <= kMaxScans) return;
      auto* self = static_cast<Decoder*>(common->client_data);
      self->has_many_scans = true;
      std::longjmp(self->jump, 1);
    };
    info.client_data = this;
    if (!guarded([&] { jpeg_create_decompress(&info); })) throw std::bad_alloc();
    info.progress = &progress;
    info.mem->max_memory_to_use = kMaxMemory;
  }
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  template <class Calls>
  bool guarded(const Calls& calls) {
    if (setjmp(jump) != 0) return false;
    calls();
    return true;
  }

  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf jump = {};
  std::array<char, JMSG_LENGTH_MAX> message = {};
  bool has_many_scans = false;
};

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw InputError(file + ": " + what);
}

// Inverted C, M, Y, K -> R, G, B, rounded.
void convert_cmyk(const JSAMPLE* cmyk, std::uint8_t* rgb, JDIMENSION width) {
  for (JDIMENSION x = 0; x < width; ++x)
    for (int c = 0; c < 3; ++c)
      rgb[3 * x + c] = static_cast<std::uint8_t>((cmyk[4 * x + c] * cmyk[4 * x + 3] + 127) / 255);
}

}  // namespace

at::Tensor parse_jpeg(std::span<const std::byte> bytes, const std::string& name) {
  Decoder decoder;
  jpeg_decompress_struct& info = decoder.info;
  const bool has_header = decoder.guarded([&] {
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info, TRUE);
  });
  if (!has_header) fail(name, std::string("cannot be read as JPEG: ") + decoder.message.data());
  const JDIMENSION width = info.image_width, height = info.image_height;
  if (width > kMaxSide || height > kMaxSide || std::int64_t{width} * height > kMaxPixels)
    fail(name, c10::str("expected sides up to ", kMaxSide, " and at most ", kMaxPixels, " pixels, found ",
                        width, " x ", height));
  // A grey block of 8 x 8 takes at least one bit.
  if (std::uint64_t{width} * height / kMostInflated > bytes.size())
    fail(name,
         c10::str("damaged JPEG: ", bytes.size(), " bytes cannot hold ", width, " x ", height, " pixels"));
  const bool is_cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  if (info.jpeg_color_space == JCS_UNKNOWN)
    fail(name, c10::str("expected a JPEG of 1, 3 or 4 components, found ", info.num_components));
  info.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  info.do_fancy_upsampling = TRUE;

  const at::Tensor pixels = at::empty({height, width, 3}, at::kByte);
  auto* rgb = pixels.mutable_data_ptr<std::uint8_t>();
  std::vector<JSAMPLE> cmyk(is_cmyk ? std::size_t{4} * width : 0);
  const bool done = decoder.guarded([&] {
    jpeg_start_decompress(&info);
    while (info.output_scanline < height) {
      std::uint8_t* out = rgb + std::size_t{3} * width * info.output_scanline;
      JSAMPROW row = is_cmyk ? cmyk.data() : out;
      jpeg_read_scanlines(&info, &row, 1);
      if (is_cmyk) convert_cmyk(row, out, width);
    }
    jpeg_finish_decompress(&info);
  });
  if (decoder.has_many_scans)
    fail(name, c10::str("expected a JPEG of at most ", kMaxScans, " scans, found more"));
  if (!done && decoder.errors.msg_code == JERR_NO_BACKING_STORE)
    fail(name,
         c10::str("expected a JPEG of ", width, " x ", height,
                  " pixels in one scan, or a smaller one: it needs more than ", kMaxMemory >> 20, " MiB"));
  if (!done) fail(name, std::string("damaged JPEG: ") + decoder.message.data());
  return pixels;
}

at::Tensor read_jpeg(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_jpeg(file.bytes(), path.string());
}

}  // namespace switchyard::io
