// What leaves the app as files: images, and views as tables, arrays and pictures. All appear whole or not at all.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/gui/studio/run.h"

namespace switchyard::studio {

/// The finished images of a run as PNGs with all that made them, named like sphere-0007.png; a name that is taken by
/// another image gets -2, -3 ...; one image alone where `image` is not -1. Makes the folder. -> the files. Throws
/// io::OutputError.
std::vector<std::filesystem::path> save_images(const Run& run, const std::filesystem::path& folder,
                                               int64_t image = -1);

/// The bytes of a PNG file of an image [H, W, 1 or 3] uint8, without text. For the clipboard.
std::string png_bytes(const at::Tensor& image);

/// The routing of a run, the same file as `switchyard sample --routing` writes. Throws std::invalid_argument where
/// nothing was recorded, and io::OutputError.
void save_run_routing(const Run& run, const std::filesystem::path& file);

/// A matrix [R, C] or a row [C] as comma-separated values with a line of headings, "step, expert 0, expert 1, ..." for
/// ("step", "expert"); numbers as short as they read back exactly, nothing for NaN. Throws io::OutputError.
void save_csv(const std::filesystem::path& file, const at::Tensor& matrix, const std::string& row,
              const std::string& column);

/// rgba [R, C, 4] uint8, each cell `zoom` pixels wide and high, over white. Throws io::OutputError.
void save_picture(const std::filesystem::path& file, const at::Tensor& rgba, int64_t zoom = 1);

}  // namespace switchyard::studio
