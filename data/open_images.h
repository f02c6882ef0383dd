// The kinds of image sets that open_images (image_source.h) tells apart; for its files alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/image_source.h"
#include "io/mapped_file.h"

namespace switchyard::data {

std::unique_ptr<ImageSource> open_folder(const std::filesystem::path& path, io::Alpha alpha);
std::unique_ptr<ImageSource> open_zip_of_images(std::shared_ptr<const io::MappedFile> file,
                                                const std::filesystem::path& path, io::Alpha alpha);
std::unique_ptr<ImageSource> open_npz(const std::filesystem::path& path);
std::unique_ptr<ImageSource> open_npy(const std::filesystem::path& path);
std::unique_ptr<ImageSource> open_idx(const std::filesystem::path& path);

/// Whether a path within a folder or archive is an image's, by its ending, and no part of it is hidden.
bool is_image_name(std::string_view path);

struct FolderClasses {
  std::vector<int64_t> labels;     // of each path; -1 for all where folders are not classes
  std::vector<std::string> names;  // by label; empty where all folders are numbers, or none are classes
};

/// The class of each path by its folder, as image_source.h says.
FolderClasses classes_of(const std::vector<std::string>& paths);

}  // namespace switchyard::data
