#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/npz.h"
#include "io/npz/format.h"

namespace switchyard::io {
namespace fs = std::filesystem;
namespace {

using namespace npz_format;

// An array as libzip reads it: the header, then row after row.
class Rows {
 public:
  Rows(const RowsOfArray& array, const std::function<bool(const std::string&, std::int64_t)>& progress)
      : array_(array), progress_(progress) {
    const std::string what = "write_npz_by_rows: array \"" + array.name + "\"";
    if (array.shape.empty() || array.shape.front() < 1) throw std::invalid_argument(what + ": no rows");
    header_ = npy_header(array.shape, descr_of(array.dtype, what));
    size_ = static_cast<zip_uint64_t>(c10::elementSize(array.dtype));
    for (const auto side : array.shape) size_ *= static_cast<zip_uint64_t>(side);
    size_ += header_.size();
  }

  std::exception_ptr failure;
  bool cancelled = false;

  static zip_int64_t call(void* self, void* data, zip_uint64_t size, zip_source_cmd_t command) {
    auto& rows = *static_cast<Rows*>(self);
    switch (command) {
      case ZIP_SOURCE_OPEN:
        rows.pending_ = rows.header_;
        rows.begin_ = rows.next_ = 0;
        return 0;
      case ZIP_SOURCE_READ:
        return rows.read(static_cast<char*>(data), size);
      case ZIP_SOURCE_STAT: {
        auto& stat = *static_cast<zip_stat_t*>(data);
        zip_stat_init(&stat);
        stat.size = rows.size_;
        stat.valid = ZIP_STAT_SIZE;
        return sizeof stat;
      }
      case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&rows.error_, data, size);
      case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                              ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, -1);
      default:
        return 0;  // CLOSE, FREE
    }
  }

 private:
  zip_int64_t read(char* out, zip_uint64_t size) {
    try {
      zip_uint64_t done = 0;
      while (done < size && (begin_ < pending_.size() || next_ < array_.shape.front())) {
        if (begin_ == pending_.size() && !take_row()) return stop();
        const auto part = std::min<zip_uint64_t>(size - done, pending_.size() - begin_);
        std::memcpy(out + done, pending_.data() + begin_, part);
        begin_ += part;
        done += part;
      }
      return static_cast<zip_int64_t>(done);
    } catch (...) {
      failure = std::current_exception();
      return stop();
    }
  }

  bool take_row() {
    if (progress_ && !progress_(array_.name, next_)) {
      cancelled = true;
      return false;
    }
    const auto row = array_.row(next_++).contiguous();
    if (row.scalar_type() != array_.dtype || row.sizes() != c10::IntArrayRef(array_.shape).slice(1))
      throw std::invalid_argument("write_npz_by_rows: array \"" + array_.name +
                                  "\": a row of another shape or dtype");
    pending_.assign(static_cast<const char*>(row.const_data_ptr()), row.nbytes());
    begin_ = 0;
    return true;
  }

  zip_int64_t stop() {
    zip_error_set(&error_, ZIP_ER_CANCELLED, 0);
    return -1;
  }

  const RowsOfArray& array_;
  const std::function<bool(const std::string&, std::int64_t)>& progress_;
  std::string header_, pending_;  // pending: of which libzip took the first `begin_` bytes
  std::size_t begin_ = 0;
  std::int64_t next_ = 0;
  zip_uint64_t size_ = 0;
  zip_error_t error_{};
};

// Where libzip writes to: our temporary, which nobody reads until it is whole.
class Sink {
 public:
  explicit Sink(const fs::path& path) : file_(path) {}
  void commit() { file_.commit(); }

  std::exception_ptr failure;

  static zip_int64_t call(void* self, void* data, zip_uint64_t size, zip_source_cmd_t command) {
    auto& sink = *static_cast<Sink*>(self);
    switch (command) {
      case ZIP_SOURCE_STAT:  // a new file
        zip_error_set(&sink.error_, ZIP_ER_READ, ENOENT);
        return -1;
      case ZIP_SOURCE_WRITE:
        return sink.write(data, size);
      case ZIP_SOURCE_SEEK_WRITE: {
        const auto to = zip_source_seek_compute_offset(sink.position_, sink.end_, data, size, &sink.error_);
        if (to < 0) return -1;
        sink.position_ = static_cast<zip_uint64_t>(to);
        return 0;
      }
      case ZIP_SOURCE_TELL_WRITE:
        return static_cast<zip_int64_t>(sink.position_);
      case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&sink.error_, data, size);
      case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_WRITABLE;
      default:
        return 0;  // BEGIN_WRITE, COMMIT_WRITE, ROLLBACK_WRITE, FREE
    }
  }

 private:
  zip_int64_t write(const void* data, zip_uint64_t size) {
    try {
      file_.write_at(position_, data, size);
    } catch (...) {
      failure = std::current_exception();
      zip_error_set(&error_, ZIP_ER_WRITE, 0);
      return -1;
    }
    position_ += size;
    end_ = std::max(end_, position_);
    return static_cast<zip_int64_t>(size);
  }

  AtomicFile file_;
  zip_uint64_t position_ = 0, end_ = 0;
  zip_error_t error_{};
};

}  // namespace

bool write_npz_by_rows(const fs::path& path, const std::vector<RowsOfArray>& arrays,
                       const std::function<bool(const std::string&, std::int64_t)>& progress) {
  std::vector<Rows> rows;
  for (const auto& array : arrays) rows.emplace_back(array, progress);

  Sink sink(path);
  const auto refuse = [&](zip_error_t* error) {
    throw OutputError(path.string() + ": cannot be written: " + reason(error));
  };
  zip_error_t error;
  zip_error_init(&error);
  Source output(zip_source_function_create(Sink::call, &sink, &error));
  if (!output) refuse(&error);
  Archive archive(zip_open_from_source(output.get(), ZIP_CREATE | ZIP_TRUNCATE, &error));
  if (!archive) refuse(&error);
  static_cast<void>(output.release());  // the archive's now
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Source source(zip_source_function(archive.get(), Rows::call, &rows[i]));
    if (!add_entry(archive.get(), std::move(source), arrays[i].name, ZIP_CM_STORE))
      refuse(zip_get_error(archive.get()));
  }
  if (zip_close(archive.get()) == 0) {
    static_cast<void>(archive.release());
    sink.commit();
    return true;
  }
  for (const auto& array : rows) {
    if (array.failure) std::rethrow_exception(array.failure);
    if (array.cancelled) return false;
  }
  if (sink.failure) std::rethrow_exception(sink.failure);
  refuse(zip_get_error(archive.get()));
  return false;
}

}  // namespace switchyard::io
