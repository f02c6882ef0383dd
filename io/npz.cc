#include "io/npz.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/memory_budget.h"
#include "io/npz/format.h"
#include "io/npz/header.h"
#include "io/stored_zip.h"
#include "io/text.h"
#include "io/zip_archive.h"

namespace switchyard::io {
namespace {

using namespace npz_format;

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 32;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw InputError(where + ": " + what);
}

void check_bools(const at::Tensor& array, const std::string& where) {
  if (array.scalar_type() != at::kBool) return;
  const auto* begin = static_cast<const unsigned char*>(array.const_data_ptr());
  if (std::any_of(begin, begin + array.nbytes(), [](auto byte) { return byte > 1; }))
    fail(where, "expected bytes 0 and 1 for bool, found others");
}

at::Tensor read_array(ZipArchive::Entry entry, const std::string& where) {
  std::array<char, kPrefix> prefix{};
  entry.read(prefix.data(), kPrefix);
  std::string text(header_size({prefix.data(), kPrefix}, where), '\0');
  entry.read(text.data(), text.size());
  const Header header = parse_header(text, kMaxBytes, where);
  check_size(header, entry.size() - std::min<std::uint64_t>(entry.size(), kPrefix + text.size()), where);
  const at::Tensor array = at::empty(header.shape, at::dtype(header.dtype));
  entry.read(array.mutable_data_ptr(), header.bytes);
  entry.finish();
  check_bools(array, where);
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

at::Tensor parse_npy(std::span<std::byte> bytes, std::shared_ptr<const void> owner, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < kPrefix)
    fail(name, "expected a .npy file, found " + std::to_string(text.size()) + " bytes");
  const std::size_t begin = kPrefix + header_size(text.substr(0, kPrefix), name);
  if (begin > text.size()) fail(name, "ends within its header");
  const Header header = parse_header(text.substr(kPrefix, begin - kPrefix), text.size(), name);
  check_size(header, text.size() - begin, name);
  std::byte* data = bytes.data() + begin;
  at::Tensor array;
  if (reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(header.dtype) == 0) {
    array = at::from_blob(
        data, header.shape, [kept = std::move(owner)](void*) {}, at::dtype(header.dtype));
  } else {
    array = at::empty(header.shape, at::dtype(header.dtype));
    if (header.bytes > 0) std::memcpy(array.mutable_data_ptr(), data, header.bytes);
  }
  check_bools(array, name);
  return array;
}

at::Tensor read_npy(const std::filesystem::path& path) {
  const auto file = std::make_shared<MappedFile>(path);
  return parse_npy(file->bytes(), file, path.string());
}

}  // namespace switchyard::io
