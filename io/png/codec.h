// libpng with its errors made fit for C++; for the reader and the writer of PNG files.
#pragma once

#include <png.h>

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>

namespace switchyard::io::png_codec {

inline constexpr std::int64_t kMaxSide = 32'768;

// All text entries of a file together.
inline constexpr std::size_t kMaxText = 8'000'000, kMaxTextEntries = 1000;

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

inline void on_error(png_structp png, png_const_charp what) {
  auto* message = static_cast<Message*>(png_get_error_ptr(png));
  std::snprintf(message->text, sizeof message->text, "%s", what);
  png_longjmp(png, 1);
}

inline void on_warning(png_structp, png_const_charp) {
}  // about colour profiles and such, which are not used here

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

}  // namespace switchyard::io::png_codec
