#include "app/gui/studio/model_files.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "assets/embedded_model.h"
#include "io/error.h"

namespace switchyard::studio {

namespace fs = std::filesystem;

pipeline::ModelSource embedded_model() {
  return {.bytes = assets::embedded_model(), .bytes_name = assets::kEmbeddedModelName};
}

FileKind kind_of(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) throw io::InputError("there is no such file");
  if (fs::is_directory(status)) return FileKind::model;
  if (!fs::is_regular_file(status))
    throw io::InputError("it is not a file");  // reading a pipe would wait for ever
  std::string beginning(8, '\0');
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw io::InputError("it cannot be read");
  stream.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  beginning.resize(static_cast<size_t>(stream.gcount()));
  if (beginning.starts_with("\x89PNG")) return FileKind::picture;
  const auto text = beginning.find_first_not_of(" \t\r\n");
  const bool list = text != std::string::npos && beginning[text] == '[';
  return list || path.extension() == ".json" ? FileKind::recipe : FileKind::model;
}

fs::path model_file_in(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  std::vector<fs::path> models;
  for (const auto& entry : fs::directory_iterator(path)) {
    const auto extension = entry.path().extension();
    if (extension == ".safetensors" || extension == ".pt" || extension == ".pth")
      models.push_back(entry.path());
  }
  if (models.size() == 1) return models.front();
  if (models.empty()) throw io::InputError("the folder holds no model (.safetensors, .pt)");
  std::ranges::sort(models);
  std::string names;
  for (size_t i = 0; i < std::min<size_t>(models.size(), 5); ++i)
    names += (i > 0 ? ", " : "") + models[i].filename().string();
  throw io::InputError("the folder holds several models, take one: " + names +
                       (models.size() > 5 ? ", ..." : ""));
}

}  // namespace switchyard::studio
