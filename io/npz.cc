#include "io/npz.h"

#include <ATen/ops/empty.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/mapped_file.h"

namespace switchyard::io {
namespace {

constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);
constexpr std::size_t kPrefix = 10;       // magic, version, 16-bit length of the header that follows
constexpr std::size_t kMaxHeader = 4096;  // ours are below 200 bytes
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 32;
constexpr std::string_view kSuffix = ".npy";
constexpr zip_uint16_t kFixedDate = 1 << 5 | 1;  // 1 January 1980, the first day that zip knows

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 9> kDtypes{{
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
struct FileCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using Archive = std::unique_ptr<zip_t, ArchiveCloser>;
using Source = std::unique_ptr<zip_source_t, SourceCloser>;
using File = std::unique_ptr<zip_file_t, FileCloser>;

std::string reason(zip_error_t* error) { return zip_error_strerror(error); }

// The .npy header: a Python dictionary, padded with spaces so that the data starts at a multiple of 64.
std::string npy_header(const at::Tensor& array, std::string_view descr) {
  std::ostringstream header;
  header << "{'descr': '" << descr << "', 'fortran_order': False, 'shape': (";
  for (std::int64_t i = 0; i < array.dim(); ++i) header << array.size(i) << (i + 1 < array.dim() ? ", " : "");
  header << (array.dim() == 1 ? ",), }" : "), }");
  std::string text = header.str();
  text.append(63 - (kPrefix + text.size()) % 64, ' ');
  text.push_back('\n');
  std::string prefix(kMagic);
  prefix.push_back(static_cast<char>(text.size() & 0xFF));
  prefix.push_back(static_cast<char>(text.size() >> 8));
  return prefix + text;
}

std::string npy_file(const std::string& name, const at::Tensor& array) {
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument("write_npz: array \"" + name + "\": " + why);
  };
  if (name.empty() || name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
    refuse("expected a name without slashes");
  if (!array.defined() || array.layout() != at::kStrided) refuse("expected a dense tensor");
  const bool is_bfloat16 = array.scalar_type() == at::kBFloat16;  // which NumPy lacks
  const at::Tensor data =
      array.detach().to(at::kCPU, is_bfloat16 ? at::kFloat : array.scalar_type()).contiguous();
  const auto known = std::find_if(kDtypes.begin(), kDtypes.end(),
                                  [&](const auto& d) { return d.second == data.scalar_type(); });
  if (known == kDtypes.end()) refuse(std::string("unsupported dtype ") + c10::toString(data.scalar_type()));
  std::string file = npy_header(data, known->first);
  if (data.nbytes() > 0) file.append(static_cast<const char*>(data.const_data_ptr()), data.nbytes());
  return file;
}

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
  std::string header(length, '\0');
  read_exactly(file.get(), header.data(), length, where);

  static const std::regex kPattern(
      R"(\{'descr': '([<|][a-z][0-9])', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \}\s*)");
  std::smatch match;
  if (!std::regex_match(header, match, kPattern)) fail(where, "expected a row-major array of numbers");
  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return d.first == match[1].str(); });
  if (known == kDtypes.end()) fail(where, "unsupported dtype '" + match[1].str() + "'");

  std::vector<std::int64_t> shape;
  std::uint64_t bytes = c10::elementSize(known->second), extent = bytes;  // extent counts a zero as one
  std::string dimensions = match[2].str();
  std::replace(dimensions.begin(), dimensions.end(), ',', ' ');
  std::istringstream list(dimensions);
  for (std::uint64_t size = 0; list >> size; shape.push_back(static_cast<std::int64_t>(size))) {
    if (size > kMaxBytes || extent > kMaxBytes / std::max<std::uint64_t>(size, 1))
      fail(where, "expected at most 4 GiB, found the shape (" + match[2].str() + ")");
    extent *= std::max<std::uint64_t>(size, 1);
    bytes *= size;
  }
  if (!list.eof()) fail(where, "expected a shape, found (" + match[2].str() + ")");
  if (kPrefix + length + bytes != entry_size)
    fail(where, "expected " + std::to_string(bytes) + " bytes for the shape (" + match[2].str() +
                    "), found " +
                    std::to_string(entry_size - std::min<std::uint64_t>(entry_size, kPrefix + length)));

  at::Tensor array = at::empty(shape, at::dtype(known->second));
  read_exactly(file.get(), array.data_ptr(), bytes, where);
  char end = 0;  // the checksum is compared at the end of the entry
  if (zip_fread(file.get(), &end, 1) != 0) fail(where, "damaged zip entry: its checksum differs");
  return array;
}

}  // namespace

void write_npz(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& arrays) {
  if (arrays.empty()) throw std::invalid_argument("write_npz: expected at least one array");
  const auto refuse = [&](zip_error_t* error) {
    throw OutputError(path.string() + ": cannot be encoded as .npz: " + reason(error));
  };
  std::map<std::string, std::string> files;  // zip reads them when it closes the archive
  for (const auto& [name, array] : arrays) files.emplace(name, npy_file(name, array));

  zip_error_t error;
  zip_error_init(&error);
  const Source output(zip_source_buffer_create(nullptr, 0, 0, &error));
  if (!output) refuse(&error);
  zip_source_keep(output.get());  // one count is ours, the other the archive's
  Archive archive(zip_open_from_source(output.get(), ZIP_TRUNCATE, &error));
  if (!archive) {
    zip_source_free(output.get());
    refuse(&error);
  }
  for (const auto& [name, file] : files) {
    Source source(zip_source_buffer(archive.get(), file.data(), file.size(), 0));
    if (!source) refuse(zip_get_error(archive.get()));
    const zip_int64_t index =
        zip_file_add(archive.get(), (name + std::string(kSuffix)).c_str(), source.get(), ZIP_FL_ENC_UTF_8);
    if (index < 0) refuse(zip_get_error(archive.get()));
    static_cast<void>(source.release());  // the archive's now
    if (zip_set_file_compression(archive.get(), static_cast<zip_uint64_t>(index), ZIP_CM_DEFLATE, 6) != 0 ||
        zip_file_set_dostime(archive.get(), static_cast<zip_uint64_t>(index), 0, kFixedDate, 0) != 0)
      refuse(zip_get_error(archive.get()));
  }
  if (zip_close(archive.get()) != 0) refuse(zip_get_error(archive.get()));
  static_cast<void>(archive.release());

  AtomicFile target(path);
  if (zip_source_open(output.get()) != 0) refuse(zip_source_error(output.get()));
  std::vector<char> block(std::size_t{1} << 20);
  zip_int64_t count = 0;
  while ((count = zip_source_read(output.get(), block.data(), block.size())) > 0)
    target.write(block.data(), static_cast<std::size_t>(count));
  if (count < 0) refuse(zip_source_error(output.get()));
  zip_source_close(output.get());
  target.commit();
}

std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path) {
  const MappedFile mapped(path);
  if (mapped.bytes().empty())
    fail(path.string(), "expected a zip file, found an empty file");  // libzip accepts it
  zip_error_t error;
  zip_error_init(&error);
  Source source(zip_source_buffer_create(mapped.bytes().data(), mapped.bytes().size(), 0, &error));
  if (!source) fail(path.string(), "cannot be read as zip: " + reason(&error));
  const Archive archive(zip_open_from_source(source.get(), ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (!archive) fail(path.string(), "cannot be read as zip: " + reason(&error));
  static_cast<void>(source.release());  // the archive's now

  std::map<std::string, at::Tensor> arrays;
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_uint64_t index = 0; index < static_cast<zip_uint64_t>(std::max<zip_int64_t>(count, 0)); ++index) {
    zip_stat_t status;
    const std::string entry = "entry " + std::to_string(index);
    if (zip_stat_index(archive.get(), index, 0, &status) != 0 || (status.valid & ZIP_STAT_SIZE) == 0 ||
        (status.valid & ZIP_STAT_NAME) == 0)
      fail(path.string(), entry + ": no name or size");
    const std::string file_name = status.name;
    if (!file_name.ends_with(kSuffix)) fail(path.string(), entry + ": expected a name that ends with .npy");
    const std::string name = file_name.substr(0, file_name.size() - kSuffix.size());
    const std::string where = path.string() + ": array \"" + name + "\"";
    if (!arrays.emplace(name, read_array(archive.get(), index, status.size, where)).second)
      fail(where, "appears twice");
  }
  return arrays;
}

}  // namespace switchyard::io
