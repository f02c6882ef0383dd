// Image sets of files: folders and zip archives.
#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <stdexcept>

#include "data/open_images.h"
#include "io/error.h"
#include "io/image.h"
#include "io/text.h"
#include "io/zip_archive.h"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 32;                        // folders within folders: a link can make a circle
constexpr uint64_t kMostBytes = uint64_t{1} << 30;  // of one image file in an archive
constexpr int64_t kMostClassDigits = 9;

// Files with these endings are images, whether they can be read or not.
constexpr std::array<std::string_view, 21> kEndings = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp",  ".gif", ".webp", ".tif", ".tiff", ".pgm",
    ".ppm", ".pnm", ".pbm",  ".tga", ".avif", ".heic", ".jxl", ".jp2",  ".ico", ".svg"};

// Paths in order with their classes; how one is read is the derived class's.
class ImageFiles : public ImageSource {
 public:
  ImageFiles(const fs::path& path, std::vector<std::string> paths, io::Alpha alpha)
      : path_(path.string()), alpha_(alpha), paths_(std::move(paths)), classes_(classes_of(paths_)) {
    if (paths_.empty()) throw io::InputError(path_ + ": expected PNG or JPEG images, found none");
  }
  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
  std::string name() const override { return path_; }
  SourceImage read(int64_t i) const override {
    if (i < 0 || i >= size()) throw std::out_of_range(c10::str(path_, ": no image ", i, " of ", size()));
    const auto at = static_cast<size_t>(i);
    return {pixels(at), classes_.labels[at], paths_[at]};
  }
  int64_t label_of(int64_t i) const override { return classes_.labels.at(static_cast<size_t>(i)); }
  std::string name_of(int64_t i) const override { return paths_.at(static_cast<size_t>(i)); }
  std::vector<std::string> class_names() const override { return classes_.names; }

 protected:
  const std::string& path_of(size_t i) const { return paths_[i]; }
  const std::string path_;
  const io::Alpha alpha_;

 private:
  virtual at::Tensor pixels(size_t i) const = 0;

  std::vector<std::string> paths_;
  FolderClasses classes_;
};

class Folder : public ImageFiles {
 public:
  using ImageFiles::ImageFiles;

 private:
  at::Tensor pixels(size_t i) const override { return io::read_image(fs::path(path_) / path_of(i), alpha_); }
};

struct Archive {
  explicit Archive(std::shared_ptr<const io::MappedFile> mapped, const fs::path& path)
      : file(std::move(mapped)), zip(file->bytes(), path.string()) {
    for (uint64_t i = 0; i < zip.size(); ++i)
      if (is_image_name(zip.name(i))) entries.emplace(zip.name(i), i);
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> all;
    for (const auto& [path, index] : entries) all.push_back(path);
    return all;
  }
  std::shared_ptr<const io::MappedFile> file;
  io::ZipArchive zip;
  std::map<std::string, uint64_t> entries;  // sorted by path
};

class ZipOfImages : public ImageFiles {
 public:
  ZipOfImages(const fs::path& path, std::unique_ptr<const Archive> archive, io::Alpha alpha)
      : ImageFiles(path, archive->paths(), alpha), archive_(std::move(archive)) {}

 private:
  at::Tensor pixels(size_t i) const override {
    const auto bytes = archive_->zip.read(archive_->entries.at(path_of(i)), kMostBytes);
    return io::parse_image(bytes, path_ + ": " + io::quote(path_of(i)),
                           alpha_);  // outside the archive's lock
  }
  std::unique_ptr<const Archive> archive_;
};

// The first folder of a path; empty where it is a file's name alone.
std::string_view first_folder(std::string_view path) {
  const size_t end = path.find('/');
  return end == path.npos ? std::string_view() : path.substr(0, end);
}

}  // namespace

bool is_image_name(std::string_view path) {
  if (path.starts_with('.') || path.find("/.") != path.npos) return false;
  const size_t dot = path.rfind('.');
  if (dot == path.npos) return false;
  std::string ending(path.substr(dot));
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

FolderClasses classes_of(const std::vector<std::string>& paths) {
  std::vector<std::string_view> rest(paths.begin(), paths.end());
  const auto all_in = [&](std::string_view folder) {
    return !folder.empty() &&
           std::all_of(rest.begin(), rest.end(), [&](auto path) { return first_folder(path) == folder; });
  };
  while (!rest.empty() && all_in(first_folder(rest.front()))) {
    const size_t prefix = first_folder(rest.front()).size() + 1;
    for (auto& path : rest) path.remove_prefix(prefix);
  }
  std::map<std::string_view, int64_t> classes;  // sorted
  bool are_numbers = true;
  for (const auto path : rest) {
    const auto folder = first_folder(path);
    if (folder.empty()) return {std::vector<int64_t>(paths.size(), -1), {}};
    const auto number = io::whole_number(folder);
    are_numbers = are_numbers && number.value_or(-1) >= 0 && folder.size() <= kMostClassDigits;
    classes.emplace(folder, number.value_or(0));
  }
  FolderClasses result;
  if (!are_numbers) {
    for (auto& [folder, number] : classes) {
      number = static_cast<int64_t>(result.names.size());
      result.names.emplace_back(folder);
    }
  }
  for (const auto path : rest) result.labels.push_back(classes.at(first_folder(path)));
  return result;
}

std::unique_ptr<ImageSource> open_folder(const fs::path& path, io::Alpha alpha) {
  std::vector<std::string> paths;
  try {
    fs::recursive_directory_iterator entry(path, fs::directory_options::follow_directory_symlink), end;
    for (; entry != end; ++entry) {
      const std::string relative = entry->path().lexically_relative(path).generic_string();
      if (entry.depth() > kDeepest)
        throw io::InputError(c10::str(path.string(), ": expected at most ", kDeepest,
                                      " folders within each other, found ", relative));
      if (entry->is_directory()) {
        if (entry->path().filename().string().starts_with('.')) entry.disable_recursion_pending();
      } else if (is_image_name(relative)) {
        paths.push_back(relative);
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw io::InputError(error.path1().string() + ": cannot be listed: " + error.code().message());
  }
  std::sort(paths.begin(), paths.end());
  return std::make_unique<Folder>(path, std::move(paths), alpha);
}

std::unique_ptr<ImageSource> open_zip_of_images(std::shared_ptr<const io::MappedFile> file,
                                                const fs::path& path, io::Alpha alpha) {
  return std::make_unique<ZipOfImages>(path, std::make_unique<const Archive>(std::move(file), path), alpha);
}

}  // namespace switchyard::data
