// What the reader and the writer of .npz archives share.
#pragma once

#include <c10/core/ScalarType.h>
#include <c10/util/ArrayRef.h>
#include <zip.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace switchyard::io::npz_format {

inline constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);
inline constexpr std::size_t kPrefix = 10;  // magic, version, 16-bit length of the header that follows
inline constexpr std::string_view kSuffix = ".npy";

inline constexpr std::array<std::pair<std::string_view, at::ScalarType>, 9> kDtypes{{
    {"|b1", at::kBool},
    {"|u1", at::kByte},
    {"|i1", at::kChar},
    {"<i2", at::kShort},
    {"<i4", at::kInt},
    {"<i8", at::kLong},
    {"<f2", at::kHalf},
    {"<f4", at::kFloat},
    {"<f8", at::kDouble},
}};

struct ArchiveCloser {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct SourceCloser {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, ArchiveCloser>;
using Source = std::unique_ptr<zip_source_t, SourceCloser>;

inline constexpr zip_uint16_t kFixedDate = 1 << 5 | 1;  // 1 January 1980, the first day that zip knows

// The .npy header: a Python dictionary, padded with spaces so that the data starts at a multiple of 64.
std::string npy_header(c10::IntArrayRef shape, std::string_view descr);

// How NumPy names a dtype; throws std::invalid_argument, with `what` before it, for one that is not in kDtypes.
std::string_view descr_of(at::ScalarType dtype, const std::string& what);

// Adds "name.npy" with a fixed date, as libzip's ZIP_CM_STORE or ZIP_CM_DEFLATE. False: zip_get_error says why.
bool add_entry(zip_t* archive, Source source, const std::string& name, zip_int32_t method);

inline std::string reason(zip_error_t* error) { return zip_error_strerror(error); }

}  // namespace switchyard::io::npz_format
