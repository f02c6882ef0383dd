// What is remembered from one start to the next (but for the layout of the window, which is the window's own).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace switchyard::studio {

struct Remembered {
  std::vector<std::filesystem::path> recent;    // models, the newest first
  std::map<std::string, std::string> decoders;  // of recent models that draw latents, by the model's path
  std::map<std::string, std::vector<int64_t>> favourites;  // labels, by the model's name
  std::string theme = "dark";                              // or "light"
  double scale = 0;                                        // of everything on the screen; 0: the monitor's
  std::filesystem::path save_to = {};  // every image goes there when it is done; empty: nowhere
  bool hint_seen = false;              // of the first start

  /// To the front of `recent`, which keeps ten.
  void use(const std::filesystem::path& model);

  bool operator==(const Remembered&) const = default;
};

/// Under XDG_CONFIG_HOME, or .config in the home folder; empty where neither is known.
std::filesystem::path remembered_file();

/// Nothing remembered where there is no such file; throws io::InputError for one that cannot be understood.
Remembered load_remembered(const std::filesystem::path& file);

/// Makes its folder. Throws io::OutputError.
void save_remembered(const std::filesystem::path& file, const Remembered& remembered);

}  // namespace switchyard::studio
