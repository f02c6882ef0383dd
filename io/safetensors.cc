#include "io/safetensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/mapped_file.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::size_t kMaxDimensions = 64;
constexpr std::string_view kMetadata = "__metadata__";

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 15> kDtypes{{
    {"BOOL", at::kBool},
    {"U8", at::kByte},
    {"I8", at::kChar},
    {"I16", at::kShort},
    {"U16", at::kUInt16},
    {"I32", at::kInt},
    {"U32", at::kUInt32},
    {"I64", at::kLong},
    {"U64", at::kUInt64},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"F32", at::kFloat},
    {"F64", at::kDouble},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E5M2", at::kFloat8_e5m2},
}};

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

// JSON parsers keep the last of two equal keys; here the second is an error, as is nesting that the format
// never has.
Json parse_header(std::string_view text, const std::string& file) {
  if (text.empty() || text.front() != '{') fail(file, "expected the header to start with '{'");
  // The parser takes a NUL for the end of its input and would not look at what follows.
  if (text.find('\0') != text.npos) fail(file, "expected the header to be JSON in UTF-8, found a NUL byte");
  std::vector<std::set<std::string>> open_objects;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
        open_objects.emplace_back();
        [[fallthrough]];
      case Json::parse_event_t::array_start:
        if (depth > 2) fail(file, "header: expected objects of tensors, found deeper nesting");
        break;
      case Json::parse_event_t::key:
        if (!open_objects.back().insert(parsed.get<std::string>()).second)
          fail(file, "header: the key " + shown(parsed) + " appears twice");
        break;
      case Json::parse_event_t::object_end:
        open_objects.pop_back();
        break;
      default:
        break;
    }
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const Json::parse_error& error) {
    fail(file, "expected the header to be JSON in UTF-8, found a syntax error at its byte " +
                   std::to_string(error.byte) + " of " + std::to_string(text.size()));
  } catch (const Json::exception&) {
    fail(file, "expected the header to be JSON in UTF-8, found a number out of range");
  }
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
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return dtype == d.first; });
  if (known == kDtypes.end()) {
    std::string names;
    for (const auto& d : kDtypes) names += (names.empty() ? "" : " ") + std::string(d.first);
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
  Entry entry{name, known->second, {}, offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};

  // A zero counts as one in `extent`, because strides are products of the other dimensions and must not
  // overflow either.
  std::uint64_t bytes = c10::elementSize(entry.dtype), extent = bytes;
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  for (const Json& dimension : shape) {
    const auto size = dimension.get<std::uint64_t>();
    if (size > kMost || extent > kMost / std::max<std::uint64_t>(size, 1))
      fail(file, name, "shape: " + shown(shape) + " has more than 2^63 - 1 bytes");
    extent *= std::max<std::uint64_t>(size, 1);
    bytes *= size;
    entry.shape.push_back(static_cast<std::int64_t>(size));
  }
  if (entry.end - entry.begin != bytes)
    fail(file, name,
         "data_offsets: expected " + std::to_string(bytes) + " bytes for " + dtype.get<std::string>() + " " +
             shown(shape) + ", found " + std::to_string(entry.end - entry.begin));
  return entry;
}

// In the order of the data, every tensor must begin where the one before it ends.
void check_coverage(std::vector<Entry>& entries, std::uint64_t data_size, const std::string& file) {
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

  const Json header =
      parse_header({reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length}, name);
  TensorFile file;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key == kMetadata)
      file.metadata = parse_metadata(value, name);
    else
      entries.push_back(parse_entry(key, value, name));
  }
  const std::span<std::byte> data = bytes.subspan(kLengthBytes + length);
  check_coverage(entries, data.size(), name);
  for (const Entry& entry : entries)
    file.tensors.emplace(entry.name, make_tensor(entry, data.data() + entry.begin, owner, name));
  return file;
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  const auto file = std::make_shared<MappedFile>(path);
  return parse_safetensors(file->bytes(), file, path.string());
}

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  struct Output {
    std::string name;
    at::Tensor tensor;
    std::string_view dtype;
  };
  std::vector<Output> outputs;
  for (const auto& [name, tensor] : tensors) {
    const auto refuse = [&name = name](const std::string& why) {
      throw std::invalid_argument("write_safetensors: tensor " + quote(name) + ": " + why);
    };
    if (name == kMetadata) refuse("the format reserves this name");
    if (!tensor.defined() || tensor.layout() != at::kStrided) refuse("expected a dense tensor");
    const auto known =
        std::find_if(kDtypes.begin(), kDtypes.end(),
                     [type = tensor.scalar_type()](const auto& d) { return d.second == type; });
    if (known == kDtypes.end())
      refuse(std::string("safetensors has no dtype ") + c10::toString(tensor.scalar_type()));
    outputs.push_back({name, tensor, known->first});
  }
  std::stable_sort(outputs.begin(), outputs.end(), [](const Output& a, const Output& b) {
    return a.tensor.element_size() > b.tensor.element_size();
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadata)] = metadata;
  std::uint64_t end = 0;
  for (const Output& output : outputs) {
    const std::uint64_t begin = end;
    end += output.tensor.nbytes();
    header[output.name] = {
        {"dtype", output.dtype}, {"shape", output.tensor.sizes().vec()}, {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& error) {
    throw std::invalid_argument(std::string("write_safetensors: a name or metadata text is not UTF-8: ") +
                                error.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeader)
    throw std::invalid_argument("write_safetensors: the header exceeds 100000000 bytes");

  AtomicFile file(path);
  std::array<unsigned char, kLengthBytes> length{};
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length[i] = static_cast<unsigned char>(text.size() >> (8 * i));
  file.write(length.data(), length.size());
  file.write(text.data(), text.size());
  for (const Output& output : outputs) {
    const at::Tensor data = output.tensor.detach().to(at::kCPU).contiguous();
    if (data.nbytes() > 0) file.write(data.const_data_ptr(), data.nbytes());
  }
  file.commit();
}

}  // namespace switchyard::io
