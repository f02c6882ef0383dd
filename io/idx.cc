#include "io/idx.h"

#include <ATen/ops/empty.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <vector>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/memory_budget.h"

namespace switchyard::io {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 32;
constexpr int kUnsignedByte = 8, kMostDimensions = 8;

// The bytes of a file, inflated where they are gzip's, from front to back.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string file) : rest_(bytes), file_(std::move(file)) {
    is_gzip_ = bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
    if (is_gzip_ && ::inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~Reader() {
    if (is_gzip_) ::inflateEnd(&stream_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[noreturn]] void fail(const std::string& what) const { throw InputError(file_ + ": " + what); }

  // How many bytes the file can hold at most.
  std::uint64_t most() const { return rest_.size() * (is_gzip_ ? kMostInflated : 1); }

  void read(std::uint8_t* out, std::uint64_t size) {
    const std::uint64_t missing = size - take(out, size);
    if (missing > 0) fail("ends " + std::to_string(missing) + " bytes early");
  }

  // Nothing may follow; gzip's checksum is compared here.
  void finish() {
    std::uint8_t byte = 0;
    if (take(&byte, 1) > 0 || !rest_.empty()) fail("expected its end after the array, found more bytes");
  }

 private:
  // Up to `size` bytes, fewer only at the end.
  std::uint64_t take(std::uint8_t* out, std::uint64_t size) {
    if (!is_gzip_) {
      const std::uint64_t count = std::min<std::uint64_t>(size, rest_.size());
      if (count > 0) std::memcpy(out, rest_.data(), count);
      rest_ = rest_.subspan(count);
      return count;
    }
    std::uint64_t taken = 0;
    while (taken < size && !ended_) {
      constexpr std::uint64_t kMost = std::numeric_limits<uInt>::max();
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest_.data()));
      stream_.avail_in = static_cast<uInt>(std::min<std::uint64_t>(rest_.size(), kMost));
      stream_.next_out = out + taken;
      stream_.avail_out = static_cast<uInt>(std::min(size - taken, kMost));
      const uInt in = stream_.avail_in, room = stream_.avail_out;
      const int status = ::inflate(&stream_, Z_NO_FLUSH);
      rest_ = rest_.subspan(in - stream_.avail_in);
      taken += room - stream_.avail_out;
      ended_ = status == Z_STREAM_END;
      if (status == Z_MEM_ERROR) throw std::bad_alloc();
      if (status == Z_BUF_ERROR) fail("damaged gzip file: ends early");
      if (status != Z_OK && !ended_)
        fail(std::string("damaged gzip file: ") +
             (stream_.msg != nullptr ? stream_.msg : "cannot be inflated"));
    }
    return taken;
  }

  std::span<const std::byte> rest_;
  std::string file_;
  bool is_gzip_ = false, ended_ = false;
  z_stream stream_ = {};
};

}  // namespace

at::Tensor parse_idx(std::span<const std::byte> bytes, const std::string& name) {
  Reader reader(bytes, name);
  const std::uint64_t most = reader.most();
  std::array<std::uint8_t, 4> word{};
  reader.read(word.data(), 4);
  if (word[0] != 0 || word[1] != 0) reader.fail("expected an IDX file, which begins with two zeros");
  if (word[2] != kUnsignedByte)
    reader.fail("expected an IDX file of unsigned bytes (type 8), found type " + std::to_string(word[2]));
  const int dimensions = word[3];
  if (dimensions < 1 || dimensions > kMostDimensions)
    reader.fail("expected 1 to 8 dimensions, found " + std::to_string(dimensions));
  std::vector<std::int64_t> shape;
  std::uint64_t size = 1;
  for (int i = 0; i < dimensions; ++i) {
    reader.read(word.data(), 4);
    const std::uint64_t side = std::uint64_t{word[0]} << 24 | word[1] << 16 | word[2] << 8 | word[3];
    if (side == 0) reader.fail("expected sizes above 0, found 0 in dimension " + std::to_string(i));
    if (side > kMaxBytes / size) reader.fail("expected at most 4 GiB, found more");
    size *= side;
    shape.push_back(static_cast<std::int64_t>(side));
  }
  if (size > most)
    reader.fail(std::to_string(bytes.size()) + " bytes cannot hold the " + std::to_string(size) +
                " that its sizes say");
  const at::Tensor array = at::empty(shape, at::kByte);
  reader.read(array.mutable_data_ptr<std::uint8_t>(), size);
  reader.finish();
  return array;
}

at::Tensor read_idx(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_idx(file.bytes(), path.string());
}

}  // namespace switchyard::io
