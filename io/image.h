// A picture from outside as 8-bit RGB, PNG or JPEG, told apart by its first bytes and not by its name.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "io/png.h"

namespace switchyard::io {

// [height, width, 3] uint8; what png.h and jpeg.h say of alpha, grey, 16 bits, orientation and limits holds.
// Safe to call from several threads. InputError names the file and what is wrong with it.
at::Tensor read_image(const std::filesystem::path& path, Alpha alpha = Alpha::drop);

// The same for bytes in memory; `name` stands in for the file's name in messages.
at::Tensor parse_image(std::span<const std::byte> bytes, const std::string& name, Alpha alpha = Alpha::drop);

}  // namespace switchyard::io
