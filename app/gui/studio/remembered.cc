#include "app/gui/studio/remembered.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/json.h"

namespace switchyard::studio {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostRecent = 10;

template <class Value>
void read(const Json& json, const char* name, Value& value, const std::string& source) {
  if (!json.contains(name)) return;  // of another version
  try {
    value = json.at(name).get<Value>();
  } catch (const Json::exception& error) {
    const std::string_view text =
        error.what();  // "[json.exception.type_error.302] type must be ..., but is ..."
    throw io::InputError(c10::str(source, ": field \"", name, "\": ", text.substr(text.find("] ") + 2)));
  }
}

}  // namespace

void Remembered::use(const std::filesystem::path& model) {
  std::erase(recent, model);
  recent.insert(recent.begin(), model);
  if (recent.size() > kMostRecent) recent.resize(kMostRecent);
  std::erase_if(decoders, [&](const auto& item) {
    return std::ranges::find(recent, std::filesystem::path(item.first)) == recent.end();
  });
}

std::filesystem::path remembered_file() {
  const auto folder_of = [](const char* variable) -> std::filesystem::path {
    const char* value = std::getenv(variable);
    return value != nullptr ? value : "";
  };
  auto folder = folder_of("XDG_CONFIG_HOME");
  if (!folder.is_absolute()) {  // as the XDG specification has it
    const auto home = folder_of("HOME");
    if (home.empty()) return {};
    folder = home / ".config";
  }
  return folder / "switchyard" / "studio.json";
}

Remembered load_remembered(const std::filesystem::path& file) {
  Remembered remembered;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored) || std::filesystem::file_size(file, ignored) == 0)
    return remembered;
  const auto source = file.string();
  const auto json = io::read_json(file);
  if (!json.is_object()) throw io::InputError(source + ": expected a JSON object");
  std::vector<std::string> recent;
  std::string save_to;
  read(json, "recent", recent, source);
  read(json, "decoders", remembered.decoders, source);
  read(json, "favourites", remembered.favourites, source);
  read(json, "theme", remembered.theme, source);
  read(json, "scale", remembered.scale, source);
  read(json, "save_to", save_to, source);
  read(json, "hint_seen", remembered.hint_seen, source);
  remembered.recent.assign(recent.begin(), recent.end());
  if (remembered.recent.size() > kMostRecent) remembered.recent.resize(kMostRecent);
  remembered.save_to = save_to;
  return remembered;
}

void save_remembered(const std::filesystem::path& file, const Remembered& remembered) {
  Json recent = Json::array();
  for (const auto& path : remembered.recent) recent.push_back(path.string());
  const Json json = {{"recent", recent},
                     {"decoders", remembered.decoders},
                     {"favourites", remembered.favourites},
                     {"theme", remembered.theme},
                     {"scale", remembered.scale},
                     {"save_to", remembered.save_to.string()},
                     {"hint_seen", remembered.hint_seen}};
  std::error_code failed;
  std::filesystem::create_directories(file.parent_path(), failed);
  if (failed) throw io::OutputError(file.parent_path().string() + ": cannot be made: " + failed.message());
  io::write_file(file, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace switchyard::studio
