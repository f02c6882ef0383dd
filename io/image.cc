#include "io/image.h"

#include <algorithm>
#include <string_view>

#include "io/error.h"
#include "io/jpeg.h"
#include "io/mapped_file.h"
#include "io/text.h"

namespace switchyard::io {

at::Tensor parse_image(std::span<const std::byte> bytes, const std::string& name, Alpha alpha) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\x89PNG")) return parse_png(bytes, name, alpha).pixels;
  if (text.starts_with("\xff\xd8")) return parse_jpeg(bytes, name);
  throw InputError(name + ": expected a PNG or JPEG image, found " +
                   (text.empty() ? "an empty file" : "a file that begins with " + quote(text.substr(0, 12))));
}

at::Tensor read_image(const std::filesystem::path& path, Alpha alpha) {
  const MappedFile file(path);
  return parse_image(file.bytes(), path.string(), alpha);
}

}  // namespace switchyard::io
