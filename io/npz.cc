#include "io/npz.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/memory_budget.h"
#include "io/npz/format.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

using namespace npz_format;

constexpr std::size_t kMaxHeader = 4096;  // ours are below 200 bytes
constexpr std::size_t kMaxDimensions = 64;
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 32;

struct FileCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using File = std::unique_ptr<zip_file_t, FileCloser>;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw InputError(where + ": " + what);
}

// Reads exactly `size` bytes of a zip entry.
void read_exactly(zip_file_t* file, void* out, std::uint64_t size, const std::string& where) {
  auto* rest = static_cast<char*>(out);
  while (size > 0) {
    const zip_int64_t count = zip_fread(file, rest, size);
    if (count < 0) fail(where, "damaged zip entry: " + reason(zip_file_get_error(file)));
    if (count == 0) fail(where, "ends " + std::to_string(size) + " bytes early");
    rest += count;
    size -= static_cast<std::uint64_t>(count);
  }
}

// What stands between the parentheses of a tuple: "2, 3", "2," or nothing.
std::optional<std::vector<std::uint64_t>> parse_tuple(std::string_view text) {
  std::vector<std::uint64_t> numbers;
  while (!text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), numbers.emplace_back());
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty() && text.front() != ',') return std::nullopt;
    text.remove_prefix(std::min<std::size_t>(text.size(), text.starts_with(", ") ? 2 : 1));
  }
  return numbers;
}

struct Header {
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes;  // of the array
};

// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } and spaces.
Header parse_header(std::string_view text, const std::string& where) {
  const std::string_view found = text;
  const auto take = [&](std::string_view expected) {
    if (!text.starts_with(expected))
      fail(where, "expected a row-major array of numbers, found " + quote(found));
    text.remove_prefix(expected.size());
  };
  const auto take_until = [&](char end) {
    const std::string_view taken = text.substr(0, text.find(end));
    text.remove_prefix(taken.size());
    return taken;
  };
  take("{'descr': '");
  const std::string_view dtype = take_until('\'');
  take("', 'fortran_order': False, 'shape': (");
  const std::string_view shape = take_until(')');
  take("), }");
  if (text.find_first_not_of(" \n") != text.npos) take("spaces");

  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return d.first == dtype; });
  if (known == kDtypes.end()) fail(where, "unsupported dtype " + quote(dtype));
  const auto sizes = parse_tuple(shape);
  if (!sizes) fail(where, "expected a shape, found " + quote(shape));
  if (sizes->size() > kMaxDimensions)
    fail(where, "expected at most 64 dimensions, found " + std::to_string(sizes->size()));
  Header header{known->second, {}, c10::elementSize(known->second)};
  std::uint64_t extent = header.bytes;  // counts a zero as one: strides are products of the other sizes
  for (const std::uint64_t size : *sizes) {
    const std::uint64_t steps = std::max<std::uint64_t>(size, 1);
    if (steps > kMaxBytes || extent > kMaxBytes / steps)
      fail(where, "expected at most 4 GiB, found the shape " + quote(shape));
    extent *= steps;
    header.bytes *= size;
    header.shape.push_back(static_cast<std::int64_t>(size));
  }
  return header;
}

at::Tensor read_array(zip_t* archive, zip_uint64_t index, std::uint64_t entry_size,
                      const std::string& where) {
  const File file(zip_fopen_index(archive, index, 0));
  if (!file) fail(where, "cannot be opened: " + reason(zip_get_error(archive)));
  std::array<char, kPrefix> prefix{};
  read_exactly(file.get(), prefix.data(), kPrefix, where);
  if (std::string_view(prefix.data(), kMagic.size()) != kMagic)
    fail(where, "expected a .npy file of version 1.0");
  const std::size_t length =
      static_cast<unsigned char>(prefix[8]) | std::size_t{static_cast<unsigned char>(prefix[9])} << 8;
  if (length > kMaxHeader)
    fail(where, "expected a header of at most 4096 bytes, found " + std::to_string(length));
  std::string text(length, '\0');
  read_exactly(file.get(), text.data(), length, where);
  const Header header = parse_header(text, where);
  if (kPrefix + length + header.bytes != entry_size)
    fail(where, "expected " + std::to_string(header.bytes) + " bytes for its shape, found " +
                    std::to_string(entry_size - std::min<std::uint64_t>(entry_size, kPrefix + length)));

  at::Tensor array = at::empty(header.shape, at::dtype(header.dtype));
  read_exactly(file.get(), array.data_ptr(), header.bytes, where);
  char end = 0;  // the checksum is compared at the end of the entry
  if (zip_fread(file.get(), &end, 1) != 0) fail(where, "damaged zip entry: its checksum differs");
  const auto* begin = static_cast<const unsigned char*>(array.const_data_ptr());
  if (header.dtype == at::kBool &&
      std::any_of(begin, begin + header.bytes, [](auto byte) { return byte > 1; }))
    fail(where, "expected bytes 0 and 1 for bool, found others");
  return array;
}

}  // namespace

std::map<std::string, at::Tensor> parse_npz(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.empty()) fail(file, "expected a zip file, found an empty file");  // libzip accepts it
  zip_error_t error;
  zip_error_init(&error);
  Source source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error));
  if (!source) fail(file, "cannot be read as zip: " + reason(&error));
  const Archive archive(zip_open_from_source(source.get(), ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (!archive) fail(file, "cannot be read as zip: " + reason(&error));
  static_cast<void>(source.release());  // the archive's now

  std::map<std::string, at::Tensor> arrays;
  std::uint64_t left = bytes.size();  // for the data of entries that do not overlap
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_uint64_t index = 0; index < static_cast<zip_uint64_t>(std::max<zip_int64_t>(count, 0)); ++index) {
    constexpr zip_uint64_t kNeeded =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    zip_stat_t status;
    const std::string entry = "entry " + std::to_string(index);
    if (zip_stat_index(archive.get(), index, 0, &status) != 0 || (status.valid & kNeeded) != kNeeded)
      fail(file, entry + ": no name or size");
    const std::string file_name = status.name;
    if (!file_name.ends_with(kSuffix)) fail(file, entry + ": expected a name that ends with .npy");
    const std::string name = file_name.substr(0, file_name.size() - kSuffix.size());
    const std::string where = file + ": array " + quote(name);
    if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE)
      fail(where, "expected a stored or deflated entry, found compression method " +
                      std::to_string(status.comp_method));
    if (status.comp_size > left) fail(where, "expected entries that do not overlap");
    left -= status.comp_size;
    if (status.size / kMostInflated > status.comp_size)
      fail(where, "damaged zip entry: " + std::to_string(status.comp_size) + " bytes cannot hold " +
                      std::to_string(status.size));
    if (!arrays.emplace(name, read_array(archive.get(), index, status.size, where)).second)
      fail(where, "appears twice");
  }
  return arrays;
}

std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_npz(file.bytes(), path.string());
}

}  // namespace switchyard::io
