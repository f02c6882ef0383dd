// The bytes of a PNG, for those who put them into a file.
#pragma once

#include <string>

#include "io/png.h"

namespace switchyard::io {

// As write_png; `name` stands for the file in an OutputError.
std::string encode_png(const at::Tensor& image, const TextEntries& text, const std::string& name);

}  // namespace switchyard::io
