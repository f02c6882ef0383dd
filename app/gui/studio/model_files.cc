#include "app/gui/studio/model_files.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <vector>

#include "assets/embedded_model.h"
#include "dit/diffusers_folder.h"
#include "io/error.h"
#include "io/state_dict.h"

namespace switchyard::studio {

namespace fs = std::filesystem;

pipeline::ModelSource embedded_model() {
  return {.bytes = assets::embedded_model(), .bytes_name = assets::kEmbeddedModelName};
}

namespace {

// Of what is no pipeline of diffusers or its transformer, whose files are called the same.
bool is_decoder(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return std::ranges::any_of(
        std::array{"diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"},
        [&](const char* name) { return fs::exists(path / name, error); });
  }
  if (path.filename() == "diffusion_pytorch_model.bin") return !dit::is_diffusers(path.parent_path());
  if (path.extension() != ".safetensors") return false;
  try {
    return io::read_state_dict(path).contains("decoder.conv_in.weight");  // mapped, not read
  } catch (const io::InputError&) {
    return false;  // the model reader will say what is wrong
  }
}

}  // namespace

FileKind kind_of(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) throw io::InputError("there is no such file");
  if (fs::is_directory(status))
    return !dit::is_diffusers(path) && is_decoder(path) ? FileKind::decoder : FileKind::model;
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
  if (dit::is_diffusers(path)) return FileKind::model;
  if (list || path.extension() == ".json") return FileKind::recipe;
  return is_decoder(path) ? FileKind::decoder : FileKind::model;
}

fs::path model_file_in(const fs::path& path) {
  if (!fs::is_directory(path) || dit::is_diffusers(path)) return path;
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
