#include "io/npz.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/memory_budget.h"
#include "io/npy.h"
#include "io/npz/format.h"
#include "io/stored_zip.h"
#include "io/text.h"
#include "io/zip_archive.h"

namespace switchyard::io {
namespace {

using namespace npz_format;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw InputError(where + ": " + what);
}

at::Tensor read_array(ZipArchive::Entry entry, const std::string& where) {
  const ReadBytes read = [&](void* out, std::size_t size) { entry.read(out, size); };
  const NpyHeader header = read_npy_header(read, where);
  if (header.offset + header.bytes != entry.size())
    fail(where, "expected " + std::to_string(header.bytes) + " bytes for its shape, found " +
                    std::to_string(entry.size() - std::min(entry.size(), header.offset)));
  const at::Tensor array = read_npy_data(header, read, where);
  entry.finish();
  return array;
}

// The arrays of that name in the archive, or all.
std::map<std::string, at::Tensor> inflated_arrays(std::span<const std::byte> bytes, const std::string& file,
                                                  const std::set<std::string>* names) {
  const ZipArchive archive(bytes, file);
  std::map<std::string, at::Tensor> arrays;
  for (std::uint64_t index = 0; index < archive.size(); ++index) {
    const std::string& entry = archive.name(index);
    const std::string name = entry.substr(0, entry.size() - std::min(entry.size(), kSuffix.size()));
    if (names != nullptr && (!entry.ends_with(kSuffix) || !names->contains(name))) continue;
    if (!entry.ends_with(kSuffix))
      fail(file, "entry " + std::to_string(index) + ": expected a name that ends with .npy");
    const std::string where = file + ": array " + quote(name);
    if (!arrays.emplace(name, read_array(archive.open(index, where), where)).second)
      fail(where, "appears twice");
  }
  return arrays;
}

// The directory of an archive that stores its arrays as numpy.savez does; nothing of another.
std::optional<std::vector<ZipEntry>> stored_entries(std::span<const std::byte> bytes,
                                                    const std::string& file) {
  try {
    MemoryBudget budget(bytes.size(), file);
    return read_stored_zip(bytes, file, budget);
  } catch (const InputError&) {
    return std::nullopt;
  }
}

}  // namespace

std::map<std::string, at::Tensor> parse_npz(std::span<const std::byte> bytes, const std::string& file) {
  return inflated_arrays(bytes, file, nullptr);
}

std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_npz(file.bytes(), path.string());
}

std::map<std::string, at::Tensor> parse_npz(std::span<std::byte> bytes, std::shared_ptr<const void> owner,
                                            const std::string& file, const std::set<std::string>& names) {
  const auto entries = stored_entries(bytes, file);
  if (!entries) return inflated_arrays(bytes, file, &names);
  std::map<std::string, at::Tensor> arrays;
  for (const std::string& name : names) {
    const ZipEntry* entry = find_entry(*entries, name + std::string(kSuffix));
    if (entry == nullptr) continue;
    arrays.emplace(name,
                   parse_npy(checked_data(bytes, *entry, file), owner, file + ": array " + quote(name)));
  }
  return arrays;
}

std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path,
                                           const std::set<std::string>& names) {
  const auto file = std::make_shared<MappedFile>(path);
  return parse_npz(file->bytes(), file, path.string(), names);
}

std::set<std::string> npz_names(const std::filesystem::path& path) {
  const MappedFile file(path);
  const ZipArchive archive(file.bytes(), path.string());
  std::set<std::string> names;
  for (std::uint64_t index = 0; index < archive.size(); ++index) {
    const std::string& entry = archive.name(index);
    if (entry.ends_with(kSuffix)) names.insert(entry.substr(0, entry.size() - kSuffix.size()));
  }
  return names;
}

}  // namespace switchyard::io
