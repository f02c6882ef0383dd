#include "pipeline/image_set.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/json.h"
#include "io/npz.h"
#include "io/png.h"
#include "io/sha256.h"
#include "pipeline/settings_text.h"

namespace switchyard::pipeline {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char *kDescription = "set.json", *kImages = "images.jsonl", *kCount = "count";

std::string lines_of(const std::vector<ImageSet::Entry>& entries) {
  std::string lines;
  for (const auto& [name, label, seed] : entries)
    lines += Json{{"name", name}, {"class", label}, {"seed", seed}}.dump(-1, ' ', false,
                                                                         Json::error_handler_t::replace) +
             "\n";
  return lines;
}

std::vector<ImageSet::Entry> entries_of(const fs::path& file) {
  std::ifstream lines(file);
  if (!lines) throw io::InputError(file.string() + ": cannot be read");
  std::vector<ImageSet::Entry> entries;
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto where = c10::str(file.string(), ", line ", ++number);
    const auto json = io::parse_json(line, where);
    try {
      entries.push_back({json.at("name"), json.at("class"), json.at("seed")});
    } catch (const nlohmann::json::exception&) {
      throw io::InputError(where + R"(: expected {"name": ..., "class": ..., "seed": ...})");
    }
    const auto& name = entries.back().name;
    if (name.empty() || name.find('/') != std::string::npos || name.starts_with("."))
      throw io::InputError(where + ": \"" + name + "\" is not the name of a file");
  }
  return entries;
}

// Of a folder without a set: nothing of anybody's may be mixed with it.
void require_empty(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (io::is_temporary(entry.path())) continue;
    throw io::InputError(folder.string() + ": holds files (" + entry.path().filename().string() +
                         ") but no set (" + kDescription + "): name a new folder");
  }
}

}  // namespace

nlohmann::ordered_json describe(Session& session, const ImagePlan& plan) {
  const auto& usual = plan.variants.front();
  Json json = {{"version", 1}};
  json.update(origin_json(session.provenance()));
  json["settings"] = settings_json(session.config(), usual.settings);
  json["recipe"] = to_json(usual.recipe, session.config());
  json["images"] = plan.choice;
  if (plan.choice.contains("list")) {  // its lines, as far as they decide pixels, whatever they look like
    std::string lines;
    for (size_t i = 0; i < plan.size(); ++i) {
      const auto& variant = plan.variants[plan.variant_of[i]];
      lines += c10::str(plan.names[i], '\n', plan.images[i].label, ' ', plan.images[i].seed, ' ',
                        settings_json(session.config(), variant.settings).dump(),
                        to_json(variant.recipe, session.config()).dump(), '\n');
    }
    json["images"]["sha256"] = io::sha256(std::as_bytes(std::span(lines)));
  }
  json[kCount] = plan.size();
  return json;
}

std::string differences(const Json& there, const Json& here) {
  const auto a = there.flatten(), b = here.flatten();
  std::string text;
  const auto say = [&](const std::string& place, const std::string& then, const std::string& now) {
    auto name = place.substr(1);
    std::ranges::replace(name, '/', '.');
    if (name == kCount) return;
    if (!text.empty()) text += '\n';
    text += c10::str(name, " is ", then, " there, ", now, " here");
  };
  for (const auto& [place, value] : a.items()) {
    if (!b.contains(place)) {
      say(place, value.dump(), "missing");
    } else if (b.at(place) != value) {
      say(place, value.dump(), b.at(place).dump());
    }
  }
  for (const auto& [place, value] : b.items()) {
    if (!a.contains(place)) say(place, "missing", value.dump());
  }
  return text;
}

ImageSet ImageSet::begin(const fs::path& folder, const Json& description, const ImagePlan& plan) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < plan.size(); ++i)
    entries.push_back({plan.names[i], plan.images[i].label, plan.images[i].seed});

  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw io::OutputError(folder.string() + ": cannot be created: " + error.message());
  io::remove_dead_temporaries(folder);
  const auto file = folder / kDescription;
  if (fs::exists(file)) {
    const Json there = io::read_json(file);
    const auto different = differences(there, description);
    if (!different.empty())
      throw io::InputError(folder.string() + ": holds a set drawn in another way:\n" + different);
    const auto images = there.value(kCount, size_t{0});
    if (images > entries.size()) {
      throw io::InputError(c10::str(folder.string(), ": holds a set of ", images, " images, more than the ",
                                    entries.size(), " asked for: name a new folder"));
    }
    if (images == entries.size() && fs::exists(folder / kImages))
      return {folder, description, std::move(entries)};
  } else {
    require_empty(folder);
  }
  io::write_file(file, description.dump(2) + "\n");
  io::write_file(folder / kImages, lines_of(entries));
  return {folder, description, std::move(entries)};
}

ImageSet ImageSet::open(const fs::path& folder) {
  const auto file = folder / kDescription;
  Json description = io::read_json(file);
  auto entries = entries_of(folder / kImages);
  if (!description.is_object() || description.value(kCount, Json()) != Json(entries.size()))
    throw io::InputError(c10::str(file.string(), ": expected the count of ", kImages, ", ", entries.size()));
  return {folder, std::move(description), std::move(entries)};
}

bool ImageSet::has(size_t image) const {
  constexpr std::string_view kEnd("\0\0\0\0IEND\xae\x42\x60\x82", 12);  // the last chunk
  std::ifstream stream(file(image), std::ios::binary);
  std::array<char, kEnd.size()> end{};
  return stream.seekg(-static_cast<std::streamoff>(end.size()), std::ios::end) &&
         stream.read(end.data(), end.size()) && std::string_view(end.data(), end.size()) == kEnd;
}

std::vector<size_t> ImageSet::missing() const {
  std::vector<size_t> missing;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!has(i)) missing.push_back(i);
  }
  return missing;
}

std::vector<fs::path> merged(const std::vector<ImageSet>& parts) {
  const auto& first = parts.front();
  for (const auto& part : parts) {
    const auto different = differences(first.description(), part.description());
    if (!different.empty() || part.entries() != first.entries()) {
      throw io::InputError(c10::str(part.folder().string(), ": is not a part of the set of ",
                                    first.folder().string(),
                                    different.empty() ? ": it has other images" : ":\n" + different));
    }
  }
  std::vector<fs::path> files(first.entries().size());
  int64_t missing = 0;
  std::string first_missing;
  for (size_t i = 0; i < files.size(); ++i) {
    for (const auto& part : parts) {
      if (!part.has(i)) continue;
      if (!files[i].empty()) {
        throw io::InputError(first.entries()[i].name + ": is in two folders, " +
                             files[i].parent_path().string() + " and " + part.folder().string() +
                             ": were both filled by the same shard?");
      }
      files[i] = part.file(i);
    }
    if (files[i].empty() && missing++ == 0) first_missing = first.entries()[i].name;
  }
  if (missing > 0) {
    throw io::InputError(c10::str(first.folder().string(), parts.size() > 1 ? " and the others" : "", ": ",
                                  missing, " of ", files.size(), " images are missing, the first is ",
                                  first_missing));
  }
  return files;
}

bool pack(const std::vector<fs::path>& files, const std::vector<ImageSet::Entry>& entries,
          const fs::path& npz, const std::function<bool(int64_t)>& progress) {
  const auto images = static_cast<int64_t>(files.size());
  const auto read = [&](int64_t i) { return io::read_png(files[static_cast<size_t>(i)]).pixels; };
  const auto first = read(0);
  const auto pixels_of = [&](int64_t i) {
    auto pixels = i == 0 ? first : read(i);
    if (pixels.sizes() == first.sizes()) return pixels;
    throw io::InputError(c10::str(files[static_cast<size_t>(i)].string(), ": is ", pixels.sizes(),
                                  ", the first is ", first.sizes()));
  };
  const auto label_of = [&](int64_t i) {
    return at::scalar_tensor(entries[static_cast<size_t>(i)].label, at::kLong);
  };
  std::vector<int64_t> shape{images};
  shape.insert(shape.end(), first.sizes().begin(), first.sizes().end());
  return io::write_npz_by_rows(
      npz, {{"arr_0", at::kByte, shape, pixels_of}, {"arr_1", at::kLong, {images}, label_of}},
      [&](const std::string& array, int64_t rows) {
        return !progress || progress(array == "arr_0" ? rows : images);
      });
}

}  // namespace switchyard::pipeline
