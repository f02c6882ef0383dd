#include "dit/diffusers_folder.h"

#include <algorithm>
#include <optional>

#include "dit/diffusers_scheduler.h"
#include "dit/diffusers_transformer.h"
#include "dit/diffusers_weights.h"
#include "dit/foreign_json.h"
#include "io/error.h"
#include "io/json.h"
#include "io/mapped_file.h"
#include "io/text.h"

namespace switchyard::dit {
namespace {

namespace fs = std::filesystem;

constexpr const char *kIndex = "model_index.json", *kConfig = "config.json";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

nlohmann::json read_small_json(const fs::path& path) {
  constexpr size_t kLongest = 1 << 20;
  const auto size = io::MappedFile(path).bytes().size();
  if (size > kLongest)
    throw io::InputError(path.string() + ": expected at most " + std::to_string(kLongest) + " bytes, found " +
                         std::to_string(size));
  return io::read_json(path);
}

bool is_index_of_shards(const fs::path& path) {
  const auto name = path.filename().string();
  return name.find(".index.") != std::string::npos && name.ends_with(".json");
}

// The folder of a pipeline, where the path names one.
std::optional<fs::path> pipeline_of(const fs::path& path) {
  if (path.filename() == kIndex) return path.parent_path();
  if (is_folder(path) && is_there(path / kIndex)) return path;
  return std::nullopt;
}

DiffusersWeights weights_of(const fs::path& path) {
  if (is_index_of_shards(path)) return read_index(path);
  const auto pipeline = pipeline_of(path);
  return find_weights(pipeline ? *pipeline / "transformer" : path);
}

nlohmann::json pipeline_index(const fs::path& file) {
  const auto source = file.string();
  auto index = read_small_json(file);
  if (!index.is_object()) throw io::InputError(source + ": expected an object, found " + index.type_name());
  const auto name = ForeignJson(index, source).field<std::string>("_class_name", "");
  if (name != "DiTPipeline")
    throw io::InputError(source + ": is of a " + io::quote(name) + ", expected a DiTPipeline");
  return index;
}

// The names of the classes where they fit the model, "golden retriever, goldie" with their synonyms.
void read_class_names(const nlohmann::json& index, DiffusersModel& model) {
  const auto labels = index.find("id2label");
  if (labels == index.end() || labels->is_null()) return;
  const auto left_out = [&](const std::string& why) { model.metadata["id2label"] = "left out: " + why; };
  if (!labels->is_object()) return left_out("it is no object");
  const auto classes = model.config.num_classes;
  if (static_cast<int64_t>(labels->size()) != classes)
    return left_out("it names " + std::to_string(labels->size()) + " classes, the model has " +
                    std::to_string(classes));
  auto config = model.config;
  config.class_names.clear();
  for (int64_t i = 0; i < classes; ++i) {
    const auto name = labels->find(std::to_string(i));
    if (name == labels->end() || !name->is_string())
      return left_out("class " + std::to_string(i) + " has no name");
    auto text = name->get<std::string>();
    constexpr size_t kLongest = 200;
    if (text.size() > kLongest) text = text.substr(0, std::min(text.find(','), text.size()));
    config.class_names.push_back(std::move(text));
  }
  try {
    config.validate();
  } catch (const std::invalid_argument& error) {
    return left_out(error.what());
  }
  model.config = std::move(config);
}

// The folder, or a file in it where the decoder's reader would not look for that.
void find_decoder(const fs::path& folder, DiffusersModel& model) {
  if (!is_folder(folder)) return;
  try {
    const auto file = find_weights(folder).files.at(0);
    model.decoder = file.filename().string().find(".fp16.") == std::string::npos ? folder : file;
  } catch (const io::InputError& error) {
    model.metadata["vae"] = "left out: " + std::string(error.what());
  }
}

DiffusersModel with_transformer(const fs::path& config, io::StateDict tensors) {
  auto read = diffusers_transformer(read_small_json(config), std::move(tensors), config.string());
  DiffusersModel model;
  model.config = std::move(read.config);
  model.tensors = std::move(read.tensors);
  model.metadata["embedders"] =
      model.config.block_embedders ? "each block has its own" : "those of all blocks are equal, and one here";
  return model;
}

void assume_objective(DiffusersModel& model) {
  for (const char* field : {"schedule", "prediction"}) model.origin[field] = Origin::published;
}

void read_scheduler(const fs::path& file, DiffusersModel& model) {
  if (!is_there(file)) return assume_objective(model);
  auto scheduler = diffusers_scheduler(read_small_json(file), model.config.learn_sigma, file.string());
  model.config.schedule = scheduler.schedule;
  model.config.prediction = scheduler.prediction;
  model.settings = std::move(scheduler.settings);
  if (!model.config.has_null_class && model.settings.is_object()) model.settings.erase("guidance");
  auto& said = model.metadata["scheduler"];
  said = scheduler.name;
  for (const auto& what : scheduler.left_out)
    said = said.get<std::string>() + (&what == scheduler.left_out.data() ? "; left out: " : ", ") + what;
}

}  // namespace

bool is_diffusers(const fs::path& path) {
  if (pipeline_of(path) || is_index_of_shards(path)) return true;
  if (!is_folder(path) || !is_there(path / kConfig)) return false;
  try {
    return is_diffusers_transformer(read_small_json(path / kConfig));
  } catch (const io::InputError&) {
    return false;
  }
}

std::vector<fs::path> weight_files(const fs::path& path) { return weights_of(path).files; }

DiffusersModel open_diffusers(const fs::path& path) {
  const auto pipeline = pipeline_of(path);
  const auto index = pipeline ? pipeline_index(*pipeline / kIndex) : nlohmann::json();
  const auto weights = weights_of(path);
  auto model = with_transformer(weights.files.at(0).parent_path() / kConfig, read_weights(weights));
  if (!pipeline) {
    assume_objective(model);
    return model;
  }
  read_scheduler(*pipeline / "scheduler" / "scheduler_config.json", model);
  read_class_names(index, model);
  find_decoder(*pipeline / "vae", model);
  return model;
}

DiffusersModel open_diffusers(const fs::path& file, io::StateDict tensors) {
  const auto config = file.parent_path() / kConfig;
  if (!is_there(config))
    throw io::InputError(
        file.string() + ": is diffusers' DiT, whose sizes are in a config.json: expected it beside the file");
  auto model = with_transformer(config, std::move(tensors));
  assume_objective(model);
  return model;
}

}  // namespace switchyard::dit
