// What a set of images is measured against: the features of other images, or only their mean and covariance.
//
// Files of statistics are NumPy archives with `mu` [D] and `sigma` [D, D], as pytorch-fid writes them, and `mu_s`, `sigma_s`
// of the spatial features, as ADM (Dhariwal and Nichol 2021) has them beside images (`arr_0`). Ours have in addition
// `features` [N, D] fp32 and, where they were gathered, `spatial` and `logits`, `labels` [N], `count`, and `network`: its facts as
// JSON in bytes; so nothing has to be gathered again, and pytorch-fid can read them too.
#pragma once

#include <filesystem>
#include <optional>

#include "metrics/feature_set.h"
#include "metrics/statistics.h"

namespace switchyard::metrics {

struct Reference {
  std::string name;
  std::optional<FeatureSet> set;  // nothing: only moments are known
  std::optional<Moments>
      moments;  // of the features, where `set` is missing or these are to be used instead of its own
  std::optional<Moments> spatial;  // the same of the spatial features
  bool network_stated = true;      // false: a file of others, which does not say what network made it
};

/// Of how many features an .npz has the statistics `mu` and `sigma`; 0 where `file` is anything else. Throws io::InputError
/// for an .npz that cannot be read.
int64_t statistics_in(const std::filesystem::path& file);

/// Whether such a file has images (`arr_0`) too.
bool images_in(const std::filesystem::path& file);

/// Reads such a file for use with `network`. io::InputError: damaged, not symmetric or not finite, or made by another
/// network (or of another dimension), with both named.
Reference read_reference(const std::filesystem::path& file, const NetworkFacts& network);

/// io::OutputError where it cannot be written.
void write_reference(const std::filesystem::path& file, const FeatureSet& set);

}  // namespace switchyard::metrics
