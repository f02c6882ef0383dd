#include "data/image_source.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <stdexcept>

#include "data/open_images.h"
#include "data/solids.h"
#include "io/error.h"

namespace switchyard::data {
namespace {

class Solids : public ImageSource {
 public:
  Solids(Split split, int64_t count, int64_t size, int64_t first)
      : split_(split), count_(count), size_(size), first_(first) {}

  int64_t size() const override { return count_; }
  std::string name() const override {
    return split_ == Split::validation ? "solids, held out" : "solids, training";
  }
  SourceImage read(int64_t i) const override {
    if (i < 0 || i >= count_) throw std::out_of_range(c10::str(name(), ": no image ", i, " of ", count_));
    const auto index = static_cast<uint64_t>(first_ + i);
    const auto pixels = at::empty({size_, size_, 3}, at::kByte);
    render_solid(split_, index, static_cast<int>(size_),
                 {pixels.mutable_data_ptr<uint8_t>(), static_cast<size_t>(pixels.numel())});
    return {pixels, solid_class(split_, index), std::to_string(index)};
  }
  std::vector<std::string> class_names() const override { return {kSolidNames.begin(), kSolidNames.end()}; }

 private:
  Split split_;
  int64_t count_, size_, first_;
};

class Subset : public ImageSource {
 public:
  Subset(std::shared_ptr<const ImageSource> source, std::vector<int64_t> indices)
      : source_(std::move(source)), indices_(std::move(indices)) {
    for (const int64_t i : indices_)
      if (i < 0 || i >= source_->size())
        throw std::out_of_range(c10::str(source_->name(), ": no image ", i, " of ", source_->size()));
  }
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  std::string name() const override { return c10::str(source_->name(), ", ", size(), " of it"); }
  SourceImage read(int64_t i) const override { return source_->read(at(i)); }
  int64_t label_of(int64_t i) const override { return source_->label_of(at(i)); }
  std::string name_of(int64_t i) const override { return source_->name_of(at(i)); }
  std::vector<std::string> class_names() const override { return source_->class_names(); }

 private:
  int64_t at(int64_t i) const { return indices_.at(static_cast<size_t>(i)); }
  std::shared_ptr<const ImageSource> source_;
  std::vector<int64_t> indices_;
};

// Whether the archive's first entry is a NumPy array's; it stands behind the 30 bytes of the entry's header.
bool holds_arrays(std::string_view zip) {
  if (zip.size() < 30) return false;
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(zip[at]); };
  return zip.substr(30, byte(26) | byte(27) << 8).ends_with(".npy");
}

}  // namespace

std::unique_ptr<ImageSource> open_images(const std::filesystem::path& path, io::Alpha alpha) {
  std::error_code unreadable;  // said when the file is opened
  if (std::filesystem::is_directory(path, unreadable)) return open_folder(path, alpha);
  const auto file = std::make_shared<const io::MappedFile>(path);
  const std::string_view begin(reinterpret_cast<const char*>(file->bytes().data()),
                               std::min<size_t>(file->bytes().size(), 4096));
  if (begin.starts_with("PK"))
    return holds_arrays(begin) ? open_npz(path) : open_zip_of_images(file, path, alpha);
  if (begin.starts_with("\x93NUMPY")) return open_npy(path);
  if (begin.starts_with("\x1f\x8b") || begin.starts_with(std::string_view("\0\0", 2))) return open_idx(path);
  const bool is_image = begin.starts_with("\x89PNG") || begin.starts_with("\xff\xd8");
  throw io::InputError(path.string() +
                       ": expected a set of images (a folder, .zip, .npz, .npy or IDX file), found " +
                       (is_image ? "a single image" : "another kind of file"));
}

std::unique_ptr<ImageSource> solids(bool held_out, int64_t count, int64_t size, int64_t first) {
  if (count < 0 || first < 0 || size < 16 || size > 512)
    throw std::invalid_argument(
        c10::str("solids: expected a count and a first number of at least 0 and a size of 16 to 512, found ",
                 count, ", ", first, " and ", size));
  return std::make_unique<Solids>(held_out ? Split::validation : Split::train, count, size, first);
}

std::unique_ptr<ImageSource> subset(std::shared_ptr<const ImageSource> source, std::vector<int64_t> indices) {
  return std::make_unique<Subset>(std::move(source), std::move(indices));
}

std::unique_ptr<ImageSource> first_n(std::shared_ptr<const ImageSource> source, int64_t n) {
  std::vector<int64_t> indices(static_cast<size_t>(std::clamp<int64_t>(n, 0, source->size())));
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
  return subset(std::move(source), std::move(indices));
}

}  // namespace switchyard::data
