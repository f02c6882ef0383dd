#include "dit/diffusers_weights.h"

#include <array>
#include <set>

#include "io/error.h"
#include "io/json.h"
#include "io/text.h"

namespace switchyard::dit {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostShards = 1000;
constexpr const char* kStem = "diffusion_pytorch_model";
constexpr std::array kEnds = {
    ".safetensors", ".safetensors.index.json", ".fp16.safetensors", ".safetensors.index.fp16.json",
    ".bin",         ".bin.index.json",         ".fp16.bin"};

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// A name that can only be one of the folder's own files. (That may be a link: so do caches of downloads keep them.)
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name.front() != '.' &&
         name.find_first_of(std::string_view("/\\:\0", 4)) == std::string::npos;
}

}  // namespace

DiffusersWeights read_index(const fs::path& index) {
  const auto source = index.string();
  const auto json = io::read_json(index);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object() || map->empty())
    throw io::InputError(source + ": expected {\"weight_map\": {\"tensor\": \"file\", ...}}");
  DiffusersWeights weights{.files = {}, .index = index};
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    const auto where = source + ": the file of " + io::quote(tensor);
    if (!file.is_string()) throw io::InputError(where + " is " + file.type_name() + ", expected a name");
    const auto name = file.get<std::string>();
    if (!is_plain_name(name))
      throw io::InputError(where + " is " + io::quote(name) +
                           ", expected the name of a file in the same folder");
    if (names.insert(name).second && !is_file(index.parent_path() / name))
      throw io::InputError(where + ", " + io::quote(name) + ", is not there");
    if (names.size() > kMostShards)
      throw io::InputError(source + ": names more than " + std::to_string(kMostShards) + " files");
    weights.shard_of[tensor] = name;
  }
  for (const auto& name : names) weights.files.push_back(index.parent_path() / name);
  return weights;
}

DiffusersWeights find_weights(const fs::path& folder) {
  for (const std::string end : kEnds) {
    const auto path = folder / (kStem + end);
    if (is_file(path)) return end.ends_with(".json") ? read_index(path) : DiffusersWeights{.files = {path}};
  }
  std::string known;
  for (const auto* end : kEnds) known += (known.empty() ? "" : ", ") + std::string(end);
  throw io::InputError(folder.string() + ": holds no weights: expected " + kStem +
                       " with one of the endings " + known);
}

io::StateDict read_weights(const DiffusersWeights& weights) {
  if (weights.index.empty()) return io::read_state_dict(weights.files.at(0));
  const auto source = weights.index.string();
  io::StateDict all;
  for (const auto& file : weights.files) {
    const auto shard = file.filename().string();
    for (auto& [name, tensor] : io::read_state_dict(file)) {
      const auto named = weights.shard_of.find(name);
      if (named == weights.shard_of.end())
        throw io::InputError(source + ": does not name " + io::quote(name) + ", which " + io::quote(shard) +
                             " holds");
      if (!all.emplace(name, std::move(tensor)).second)
        throw io::InputError(source + ": " + io::quote(name) + " is in two files, one of them " +
                             io::quote(shard));
      if (named->second != shard)
        throw io::InputError(source + ": says that " + io::quote(name) + " is in " +
                             io::quote(named->second) + ", it is in " + io::quote(shard));
    }
  }
  for (const auto& [name, shard] : weights.shard_of) {
    if (!all.contains(name))
      throw io::InputError(source + ": says that " + io::quote(name) + " is in " + io::quote(shard) +
                           ", which does not hold it");
  }
  return all;
}

}  // namespace switchyard::dit
