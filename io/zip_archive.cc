#include "io/zip_archive.h"

#include <algorithm>

#include "io/error.h"
#include "io/memory_budget.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw InputError(where + ": " + what);
}

std::string reason(zip_error_t* error) { return zip_error_strerror(error); }

constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;

}  // namespace

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string file) : file_(std::move(file)) {
  if (bytes.empty()) fail(file_, "expected a zip file, found an empty file");  // libzip accepts it
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (source == nullptr) fail(file_, "cannot be read as zip: " + reason(&error));
  archive_.reset(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (!archive_) {
    zip_source_free(source);  // else the archive's
    fail(file_, "cannot be read as zip: " + reason(&error));
  }
  const auto count =
      static_cast<zip_uint64_t>(std::max<zip_int64_t>(zip_get_num_entries(archive_.get(), 0), 0));
  std::uint64_t left = bytes.size();  // for the data of entries that do not overlap
  for (zip_uint64_t index = 0; index < count; ++index) {
    zip_stat_t status;
    if (zip_stat_index(archive_.get(), index, 0, &status) != 0 || (status.valid & kNeeded) != kNeeded)
      fail(file_, "entry " + std::to_string(index) + ": no name or size");
    if (status.comp_size > left)
      fail(file_ + ": " + quote(status.name), "expected entries that do not overlap");
    left -= status.comp_size;
    names_.emplace_back(status.name);
  }
}

ZipArchive::Entry ZipArchive::open(std::uint64_t index, const std::string& where) const {
  Entry entry;
  entry.where_ = where;
  entry.lock_ = std::unique_lock(mutex_);
  zip_stat_t status;
  if (zip_stat_index(archive_.get(), index, 0, &status) != 0 || (status.valid & kNeeded) != kNeeded)
    fail(where, "no name or size");
  if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE)
    fail(where, "expected a stored or deflated entry, found compression method " +
                    std::to_string(status.comp_method));
  if (status.size / kMostInflated > status.comp_size)
    fail(where, "damaged zip entry: " + std::to_string(status.comp_size) + " bytes cannot hold " +
                    std::to_string(status.size));
  entry.size_ = status.size;
  entry.file_.reset(zip_fopen_index(archive_.get(), index, 0));
  if (!entry.file_) fail(where, "cannot be opened: " + reason(zip_get_error(archive_.get())));
  return entry;
}

void ZipArchive::Entry::read(void* out, std::uint64_t size) {
  auto* rest = static_cast<char*>(out);
  while (size > 0) {
    const zip_int64_t count = zip_fread(file_.get(), rest, size);
    if (count < 0) fail(where_, "damaged zip entry: " + reason(zip_file_get_error(file_.get())));
    if (count == 0) fail(where_, "ends " + std::to_string(size) + " bytes early");
    rest += count;
    size -= static_cast<std::uint64_t>(count);
  }
}

void ZipArchive::Entry::finish() {
  char end = 0;  // the checksum is compared at the end of the entry
  if (zip_fread(file_.get(), &end, 1) != 0) fail(where_, "damaged zip entry: its checksum differs");
}

std::vector<std::byte> ZipArchive::read(std::uint64_t index, std::uint64_t most) const {
  const std::string where = file_ + ": " + quote(name(index));
  Entry entry = open(index, where);
  if (entry.size() > most)
    fail(where, "expected at most " + std::to_string(most) + " bytes, found " + std::to_string(entry.size()));
  std::vector<std::byte> bytes(entry.size());
  entry.read(bytes.data(), bytes.size());
  entry.finish();
  return bytes;
}

}  // namespace switchyard::io
