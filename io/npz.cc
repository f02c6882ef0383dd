#include "io/npz.h"

#include <algorithm>
#include <cstdint>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/memory_budget.h"
#include "io/npy.h"
#include "io/npz/format.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

using namespace npz_format;

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

at::Tensor read_array(zip_t* archive, zip_uint64_t index, std::uint64_t entry_size,
                      const std::string& where) {
  const File file(zip_fopen_index(archive, index, 0));
  if (!file) fail(where, "cannot be opened: " + reason(zip_get_error(archive)));
  const ReadBytes read = [&](void* out, std::size_t size) { read_exactly(file.get(), out, size, where); };
  const NpyHeader header = read_npy_header(read, where);
  if (header.offset + header.bytes != entry_size)
    fail(where, "expected " + std::to_string(header.bytes) + " bytes for its shape, found " +
                    std::to_string(entry_size - std::min<std::uint64_t>(entry_size, header.offset)));
  at::Tensor array = read_npy_data(header, read, where);
  char end = 0;  // the checksum is compared at the end of the entry
  if (zip_fread(file.get(), &end, 1) != 0) fail(where, "damaged zip entry: its checksum differs");
  return array;
}

Archive open_archive(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.empty()) fail(file, "expected a zip file, found an empty file");  // libzip accepts it
  zip_error_t error;
  zip_error_init(&error);
  Source source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error));
  if (!source) fail(file, "cannot be read as zip: " + reason(&error));
  Archive archive(zip_open_from_source(source.get(), ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (!archive) fail(file, "cannot be read as zip: " + reason(&error));
  static_cast<void>(source.release());  // the archive's now
  return archive;
}

}  // namespace

std::map<std::string, at::Tensor> parse_npz(std::span<const std::byte> bytes, const std::string& file,
                                            const std::set<std::string>& wanted) {
  const Archive archive = open_archive(bytes, file);
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
    if (!wanted.empty() && !wanted.contains(name)) continue;
    if (!arrays.emplace(name, read_array(archive.get(), index, status.size, where)).second)
      fail(where, "appears twice");
  }
  return arrays;
}

std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path,
                                           const std::set<std::string>& wanted) {
  const MappedFile file(path);
  return parse_npz(file.bytes(), path.string(), wanted);
}

std::set<std::string> npz_names(const std::filesystem::path& path) {
  const MappedFile file(path);
  const Archive archive = open_archive(file.bytes(), path.string());
  std::set<std::string> names;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive.get(), 0); ++i) {
    const char* const name = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), 0);
    if (name != nullptr && std::string_view(name).ends_with(kSuffix))
      names.emplace(name, std::string_view(name).size() - kSuffix.size());
  }
  return names;
}

}  // namespace switchyard::io
