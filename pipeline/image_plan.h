// Which images a set has: thousands, each with its own class, seed, and, where a list says so, settings and recipe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "dit/config.h"
#include "pipeline/request.h"

namespace switchyard::pipeline {

/// How the classes of a set are chosen: in turn, so that each comes as often as the others, or at random for each
/// image, by its seed. An image's class does not depend on how many there are: a set can grow.
enum class Balance { equal, random };
Balance balance_from_name(std::string_view name);  // throws std::invalid_argument with near misses
std::string_view to_string(Balance balance);

/// How some of the images are drawn.
struct Variant {
  Settings settings;
  RoutingRecipe recipe = {};  // of all images that it is for
};

struct ImagePlan {
  std::vector<Image> images = {};
  std::vector<std::string> names = {};  // of the files, no two the same
  std::vector<Variant> variants = {};
  std::vector<uint32_t> variant_of = {};  // by image
  nlohmann::ordered_json choice =
      {};  // how they were chosen: {"classes", "balance", "seed"}, which can grow, or
           // {"list": its name}

  size_t size() const { return images.size(); }
};

/// `count` images of the classes `labels`, seeds from `seed` on. Throws std::invalid_argument where these would
/// exceed the largest seed.
ImagePlan balanced_plan(const dit::ModelConfig& config, const std::vector<int64_t>& labels, Balance balance,
                        int64_t count, uint64_t seed, Variant variant);

/// The images of a list: CSV with a line of column names, or JSON lines (.jsonl), an object per image. Columns: class
/// (name or index) and seed, both needed; recipe (JSON, or the name of its file beside the list); name (of the file);
/// and every option of the settings without its dashes, such as guidance or steps (two values for an interval: "0.1
/// 0.9"). What a line leaves out is as in `usual`. A blank line is none. Throws io::InputError naming file, line and
/// column: unknown ones, wrong values, two images of one name.
ImagePlan read_image_list(const std::filesystem::path& file, const dit::ModelConfig& config,
                          const Variant& usual);

}  // namespace switchyard::pipeline
