#include "io/safetensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "io/error.h"
#include "io/foreign_file.h"
#include "io/json.h"
#include "io/mapped_file.h"
#include "io/safetensors_format.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

using namespace safetensors_format;
using Json = nlohmann::json;

constexpr std::size_t kMaxDimensions = 64;

// One tensor as the header describes it; data is [begin, end) in bytes after the header.
struct Entry {
  std::string name;
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin, end;
};

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', true);
  return text.size() <= 120 ? text : text.substr(0, 120) + "...";
}

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw InputError(file + ": " + what);
}

[[noreturn]] void fail(const std::string& file, const std::string& tensor, const std::string& what) {
  fail(file, "tensor " + quote(tensor) + ": " + what);
}

std::map<std::string, std::string> parse_metadata(const Json& value, const std::string& file) {
  if (!value.is_object()) fail(file, "__metadata__: expected an object, found " + shown(value));
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string())
      fail(file, "__metadata__: expected a string for " + quote(key) + ", found " + shown(text));
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

Entry parse_entry(const std::string& name, const Json& value, const std::string& file) {
  if (!value.is_object()) fail(file, name, "expected an object, found " + shown(value));
  for (const char* field : {"dtype", "shape", "data_offsets"})
    if (!value.contains(field)) fail(file, name, std::string("the field ") + field + " is missing");
  for (const auto& [field, ignored] : value.items())
    if (field != "dtype" && field != "shape" && field != "data_offsets")
      fail(file, name, "expected dtype, shape and data_offsets, found the field " + quote(field));

  const Json& dtype = value["dtype"];
  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return dtype == d.name; });
  if (known == kDtypes.end()) {
    std::string names;
    for (const Dtype& d : kDtypes) names.append(names.empty() ? "" : " ").append(d.name);
    fail(file, name, "dtype: expected one of " + names + ", found " + shown(dtype));
  }

  const auto are_counts = [](const Json& list) {
    return list.is_array() &&
           std::all_of(list.begin(), list.end(), [](const Json& n) { return n.is_number_unsigned(); });
  };
  const Json& shape = value["shape"];
  if (!are_counts(shape))
    fail(file, name, "shape: expected a list of non-negative integers, found " + shown(shape));
  if (shape.size() > kMaxDimensions)
    fail(file, name, "shape: expected at most 64 dimensions, found " + std::to_string(shape.size()));
  const Json& offsets = value["data_offsets"];
  if (!are_counts(offsets) || offsets.size() != 2 || offsets[0] > offsets[1])
    fail(file, name, "data_offsets: expected [begin, end] with 0 <= begin <= end, found " + shown(offsets));
  Entry entry{name, known->type, {}, offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};

  // A zero counts as one in `extent`, because strides are products of the other dimensions and must not
  // overflow either.
  std::uint64_t bits = known->bits, extent = bits;
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  for (const Json& dimension : shape) {
    const auto size = dimension.get<std::uint64_t>();
    if (size > kMost || extent > kMost / std::max<std::uint64_t>(size, 1))
      fail(file, name, "shape: " + shown(shape) + " has more than 2^63 - 1 bits");
    extent *= std::max<std::uint64_t>(size, 1);
    bits *= size;
    entry.shape.push_back(static_cast<std::int64_t>(size));
  }
  if (known->bits < 8) {
    const auto row_bits = entry.shape.empty() ? known->bits : entry.shape.back() * known->bits;
    if (row_bits % 8 != 0)
      fail(file, name,
           "shape: expected rows of whole bytes for " + dtype.get<std::string>() + ", found " + shown(shape));
    entry.shape.back() = static_cast<std::int64_t>(row_bits / 8);
  }
  const std::uint64_t bytes = bits / 8;
  if (entry.end - entry.begin != bytes)
    fail(file, name,
         "data_offsets: expected " + std::to_string(bytes) + " bytes for " + dtype.get<std::string>() + " " +
             shown(shape) + ", found " + std::to_string(entry.end - entry.begin));
  return entry;
}

// JSON parsers keep the last of two equal keys; here the second is an error.
void check_names(std::deque<Entry>& entries, const std::string& file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(entries.begin(), entries.end(),
                                        [](const Entry& a, const Entry& b) { return a.name == b.name; });
  if (twice != entries.end()) fail(file, "header: the key " + quote(twice->name) + " appears twice");
}

// In the order of the data, every tensor must begin where the one before it ends.
void check_coverage(std::deque<Entry>& entries, std::uint64_t data_size, const std::string& file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != end)
      fail(file, entry.name,
           "data_offsets: expected to begin at " + std::to_string(end) +
               ", where the tensor before it "
               "ends, found " +
               std::to_string(entry.begin) + (entry.begin < end ? " (overlap)" : " (hole)"));
    if (entry.end > data_size)
      fail(file, entry.name,
           "data_offsets: ends at " + std::to_string(entry.end) + ", but only " + std::to_string(data_size) +
               " bytes follow the header (truncated file?)");
    end = entry.end;
  }
  if (end != data_size)
    fail(file, "expected the tensors to fill the file, found " + std::to_string(data_size - end) +
                   " bytes after the last tensor");
}

at::Tensor make_tensor(const Entry& entry, std::byte* data, const std::shared_ptr<const void>& owner,
                       const std::string& file) {
  const std::size_t size = entry.end - entry.begin;
  if (entry.dtype == at::kBool) {
    const auto wrong = std::find_if(data, data + size, [](std::byte b) { return b > std::byte{1}; });
    if (wrong != data + size)
      fail(file, entry.name,
           "expected bytes 0 and 1 for BOOL, found " + std::to_string(std::to_integer<int>(*wrong)));
  }
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(entry.dtype) == 0;
  if (size > 0 && aligned)
    return at::from_blob(
        data, entry.shape, [owner](void*) {}, at::dtype(entry.dtype));
  at::Tensor copy = at::empty(entry.shape, at::dtype(entry.dtype));
  if (size > 0) std::memcpy(copy.data_ptr(), data, size);
  return copy;
}

}  // namespace

TensorFile parse_safetensors(std::span<std::byte> bytes, std::shared_ptr<const void> owner,
                             const std::string& name) {
  if (bytes.size() < kLengthBytes)
    fail(name, "expected a safetensors file, at least 8 bytes, found " + std::to_string(bytes.size()));
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;)
    length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  if (length > kMaxHeader)
    fail(name, "expected a header of at most 100000000 bytes, found a length of " + std::to_string(length) +
                   " (not a safetensors file?)");
  if (length > bytes.size() - kLengthBytes)
    fail(name, "expected a header of " + std::to_string(length) + " bytes, found only " +
                   std::to_string(bytes.size() - kLengthBytes) + " bytes (truncated file?)");

  TensorFile file;
  std::deque<Entry> entries;
  bool has_metadata = false;
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  parse_members(header, name + ": header", 3, [&](const std::string& key, const Json& value) {
    if (key != kMetadata) return entries.push_back(parse_entry(key, value, name));
    if (std::exchange(has_metadata, true)) fail(name, "header: the key \"__metadata__\" appears twice");
    file.metadata = parse_metadata(value, name);
  });
  check_names(entries, name);
  const std::span<std::byte> data = bytes.subspan(kLengthBytes + length);
  check_coverage(entries, data.size(), name);
  for (; !entries.empty(); entries.pop_front()) {  // so that the header's memory becomes the tensors'
    Entry& entry = entries.front();
    at::Tensor tensor = make_tensor(entry, data.data() + entry.begin, owner, name);
    file.tensors.emplace(std::move(entry.name), std::move(tensor));
  }
  return file;
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  const auto file = std::make_shared<MappedFile>(path);
  refuse_foreign(file->bytes(), path.string());
  return parse_safetensors(file->bytes(), file, path.string());
}

}  // namespace switchyard::io
