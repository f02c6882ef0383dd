#include "io/npy.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/npz/format.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

using namespace npz_format;

constexpr std::size_t kMaxHeader = 4096;  // NumPy's are below 200 bytes
constexpr std::size_t kMaxDimensions = 64;
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 40;      // of a file
constexpr std::uint64_t kMostInMemory = std::uint64_t{1} << 32;  // of an array that is read whole

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw InputError(where + ": " + what);
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

// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } and spaces.
NpyHeader parse_dictionary(std::string_view text, const std::string& where) {
  const std::string_view found = text;
  const auto take = [&](std::string_view expected) {
    if (!text.starts_with(expected)) fail(where, "expected an array of numbers, found " + quote(found));
    text.remove_prefix(expected.size());
  };
  const auto take_until = [&](char end) {
    const std::string_view taken = text.substr(0, text.find(end));
    text.remove_prefix(taken.size());
    return taken;
  };
  NpyHeader header;
  take("{'descr': '");
  std::string dtype(take_until('\''));
  take("', 'fortran_order': ");
  header.column_major = text.starts_with("True");
  take(header.column_major ? "True" : "False");
  take(", 'shape': (");
  const std::string_view shape = take_until(')');
  take("), }");
  if (text.find_first_not_of(" \n") != text.npos) take("spaces");

  const std::string stated = dtype;
  header.big_endian = dtype.starts_with('>');
  if (header.big_endian) dtype.front() = '<';
  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return d.first == dtype; });
  if (known == kDtypes.end()) fail(where, "unsupported dtype " + quote(stated));
  header.dtype = known->second;
  const auto sizes = parse_tuple(shape);
  if (!sizes) fail(where, "expected a shape, found " + quote(shape));
  if (sizes->size() > kMaxDimensions)
    fail(where, "expected at most 64 dimensions, found " + std::to_string(sizes->size()));
  header.bytes = c10::elementSize(header.dtype);
  std::uint64_t extent = header.bytes;  // counts a zero as one: strides are products of the other sizes
  for (const std::uint64_t size : *sizes) {
    const std::uint64_t steps = std::max<std::uint64_t>(size, 1);
    if (steps > kMaxBytes || extent > kMaxBytes / steps)
      fail(where, "expected at most 1 TiB, found the shape " + quote(shape));
    extent *= steps;
    header.bytes *= size;
    header.shape.push_back(static_cast<std::int64_t>(size));
  }
  return header;
}

void swap_bytes(at::Tensor& array) {
  const auto size = static_cast<std::size_t>(array.element_size());
  auto* byte = static_cast<char*>(array.mutable_data_ptr());
  for (std::int64_t i = 0; i < array.numel(); ++i, byte += size) std::reverse(byte, byte + size);
}

void check_bools(const NpyHeader& header, const void* data, const std::string& where) {
  const auto* const begin = static_cast<const unsigned char*>(data);
  if (header.dtype == at::kBool &&
      std::any_of(begin, begin + header.bytes, [](auto byte) { return byte > 1; }))
    fail(where, "expected bytes 0 and 1 for bool, found others");
}

}  // namespace

NpyHeader read_npy_header(const ReadBytes& read, const std::string& where) {
  std::array<unsigned char, 8> prefix{};  // the magic and the version
  read(prefix.data(), prefix.size());
  const std::string_view magic(reinterpret_cast<const char*>(prefix.data()), kMagic.size());
  if (!magic.starts_with(kMagic.substr(0, 6)) || prefix[6] < 1 || prefix[6] > 3 || prefix[7] != 0)
    fail(where, "expected a .npy file of version 1.0, 2.0 or 3.0");
  std::array<unsigned char, 4> digits{};  // little-endian
  const std::size_t width = prefix[6] == 1 ? 2 : 4;
  read(digits.data(), width);
  std::size_t length = 0;
  for (std::size_t i = 0; i < width; ++i) length |= std::size_t{digits[i]} << 8 * i;
  if (length > kMaxHeader)
    fail(where, "expected a header of at most 4096 bytes, found " + std::to_string(length));
  std::string text(length, '\0');
  read(text.data(), length);
  NpyHeader header = parse_dictionary(text, where);
  header.offset = prefix.size() + width + length;
  return header;
}

at::Tensor read_npy_data(const NpyHeader& header, const ReadBytes& read, const std::string& where) {
  if (header.bytes > kMostInMemory)
    fail(where, "expected at most 4 GiB, found " + std::to_string(header.bytes) + " bytes");
  std::vector<std::int64_t> shape = header.shape;
  if (header.column_major) std::reverse(shape.begin(), shape.end());
  at::Tensor array = at::empty(shape, at::dtype(header.dtype));
  read(array.mutable_data_ptr(), header.bytes);
  if (header.big_endian) swap_bytes(array);
  check_bools(header, array.const_data_ptr(), where);
  if (!header.column_major) return array;
  std::vector<std::int64_t> last_first(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i)
    last_first[i] = static_cast<std::int64_t>(shape.size() - 1 - i);
  return array.permute(last_first).contiguous();
}

at::Tensor parse_npy(std::span<std::byte> bytes, std::shared_ptr<const void> owner, const std::string& name) {
  const ReadBytes read = [&, rest = bytes](void* out, std::size_t size) mutable {
    if (size > rest.size()) fail(name, "ends " + std::to_string(size - rest.size()) + " bytes early");
    if (size > 0) std::memcpy(out, rest.data(), size);
    rest = rest.subspan(size);
  };
  const NpyHeader header = read_npy_header(read, name);
  if (header.offset + header.bytes != bytes.size())
    fail(name, "expected " + std::to_string(header.bytes) + " bytes for its shape, found " +
                   std::to_string(bytes.size() - header.offset));
  std::byte* const data = bytes.data() + header.offset;
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(header.dtype) == 0;
  if (header.big_endian || header.column_major || !aligned) return read_npy_data(header, read, name);
  check_bools(header, data, name);
  return at::from_blob(
      data, header.shape, [kept = std::move(owner)](void*) {}, at::dtype(header.dtype));
}

at::Tensor read_npy(const std::filesystem::path& path) {
  const auto file = std::make_shared<MappedFile>(path);
  return parse_npy(file->bytes(), file, path.string());
}

}  // namespace switchyard::io
