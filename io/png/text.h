// The text chunks of a PNG file: tEXt, zTXt (compressed) and iTXt (UTF-8, may be compressed).
//
// Not by libpng, which allocates what a chunk claims before it looks at the file's end, bounds each text
// alone, and drops in silence what it cannot read. Source: the PNG specification, third edition, section
// 11.3.3.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "io/png.h"

namespace switchyard::io {

// Of a file's bytes, signature included, in file order; checksums are not looked at. `file` names it in
// messages. InputError: a chunk that reaches beyond the file, no IEND, a malformed text chunk, or more text
// than png.h allows.
TextEntries read_png_text(std::span<const std::byte> bytes, const std::string& file);

}  // namespace switchyard::io
