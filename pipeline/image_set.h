// A folder of images drawn by one description, which can be filled on after any end, by one process or by many.
//
//   set.json      what decides the pixels: model, settings, recipe, classes, first seed; written first
//   images.jsonl  an object per image, in order: {"name": "cube-0007.png", "class": 1, "seed": 7}
//   *.png         the images, each whole or not there; each can be drawn again from what it says of itself
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "pipeline/image_plan.h"
#include "pipeline/session.h"

namespace switchyard::pipeline {

/// What decides the pixels of a plan's images.
nlohmann::ordered_json describe(Session& session, const ImagePlan& plan);

class ImageSet {
 public:
  struct Entry {
    std::string name;
    int64_t label = 0;
    uint64_t seed = 0;
    bool operator==(const Entry&) const = default;
  };

  /// Begins a set, or goes on with the one that is there: the same, or a smaller one that can grow. Throws
  /// io::InputError where the folder holds another set, naming what differs, or files but no set; io::OutputError.
  static ImageSet begin(const std::filesystem::path& folder, const nlohmann::ordered_json& description,
                        const ImagePlan& plan);

  /// The set that is there. Throws io::InputError.
  static ImageSet open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const nlohmann::ordered_json& description() const { return description_; }
  const std::vector<Entry>& entries() const { return entries_; }
  std::filesystem::path file(size_t image) const { return folder_ / entries_.at(image).name; }

  /// Whether the image's file is there and whole: it ends as a PNG does.
  bool has(size_t image) const;

  /// Those that are not, in order.
  std::vector<size_t> missing() const;

 private:
  ImageSet(std::filesystem::path folder, nlohmann::ordered_json description, std::vector<Entry> entries)
      : folder_(std::move(folder)), description_(std::move(description)), entries_(std::move(entries)) {}

  std::filesystem::path folder_;
  nlohmann::ordered_json description_;
  std::vector<Entry> entries_;
};

/// Where two descriptions differ: "settings.steps is 25 there, 50 here", one per line; empty where they do not. The
/// count of images is not looked at.
std::string differences(const nlohmann::ordered_json& there, const nlohmann::ordered_json& here);

/// The file of every image, from folders that were each filled with a part of one set. Throws io::InputError where the
/// sets are not the same, and where an image is missing, or in two folders, naming the first of them.
std::vector<std::filesystem::path> merged(const std::vector<ImageSet>& parts);

/// Images as ADM's .npz batch: arr_0 uint8 [N, H, W, C], arr_1 int64 [N] labels. One image in memory at a time.
/// `progress` is told how many are packed; answering false cancels, and pack() returns false. Throws io::InputError for
/// an image that is missing, damaged or of another size than the first; io::OutputError.
bool pack(const std::vector<std::filesystem::path>& files, const std::vector<ImageSet::Entry>& entries,
          const std::filesystem::path& npz, const std::function<bool(int64_t packed)>& progress = {});

}  // namespace switchyard::pipeline
