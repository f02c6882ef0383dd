#include "metrics/reference.h"

#include <ATen/ATen.h>

#include <map>
#include <set>
#include <string_view>

#include "io/error.h"
#include "io/json.h"
#include "io/npz.h"
#include "io/text.h"

namespace switchyard::metrics {
namespace {

namespace fs = std::filesystem;
using Arrays = std::map<std::string, at::Tensor>;

// Beside the moments; arr_0, a gigabyte of images, is not inflated to look at them.
const std::set<std::string> kWanted = {"mu",       "sigma",   "mu_s",   "sigma_s", "count",
                                       "features", "spatial", "logits", "labels",  "network"};

[[noreturn]] void fail(const fs::path& file, const std::string& what) {
  throw io::InputError(file.string() + ": " + what);
}

at::Tensor bytes_of(const std::string& text) {
  auto bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  std::copy(text.begin(), text.end(), bytes.mutable_data_ptr<uint8_t>());
  return bytes;
}

// The text that bytes_of made; nothing for other arrays.
std::string text_of(const at::Tensor& bytes) {
  if (bytes.scalar_type() != at::kByte || bytes.dim() != 1) return {};
  const auto* const begin = bytes.const_data_ptr<uint8_t>();
  return {begin, begin + bytes.numel()};
}

Moments moments_in(const fs::path& file, const Arrays& arrays, const std::string& suffix, int64_t count) {
  const auto &mean = arrays.at("mu" + suffix), &covariance = arrays.at("sigma" + suffix);
  const std::string which = "mu" + suffix + " and sigma" + suffix;
  if (mean.dim() != 1 || mean.numel() == 0 || covariance.dim() != 2 || covariance.size(0) != mean.size(0) ||
      covariance.size(1) != mean.size(0) || !mean.is_floating_point() || !covariance.is_floating_point())
    fail(file, "expected " + which + " to be floating numbers [D] and [D, D], found " +
                   c10::str(mean.sizes(), " and ", covariance.sizes()));
  const Moments moments{mean.to(at::kDouble), covariance.to(at::kDouble), count};
  if (!moments.mean.isfinite().all().item<bool>() || !moments.covariance.isfinite().all().item<bool>())
    fail(file, which + " are not all finite");
  const double largest = moments.covariance.abs().max().item<double>();
  if ((moments.covariance - moments.covariance.t()).abs().max().item<double>() > 1e-6 * largest)
    fail(file, "sigma" + suffix + " is not symmetric, so it is no covariance");
  return moments;
}

// A matrix with a row for each of n images, or nothing where the file has none.
at::Tensor rows_in(const fs::path& file, const Arrays& arrays, const std::string& name, int64_t n) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) return {};
  if (found->second.dim() != 2 || found->second.scalar_type() != at::kFloat || found->second.size(0) != n)
    fail(file, "expected " + name + " to be " + std::to_string(n) + " rows of float32, found " +
                   c10::str(found->second.sizes(), " ", found->second.scalar_type()));
  return found->second;
}

void require_same_network(const fs::path& file, const Arrays& arrays, const NetworkFacts& network) {
  const auto text = arrays.find("network");
  if (text == arrays.end()) return;
  const auto facts = io::parse_json(text_of(text->second), file.string() + ": its network");
  const auto field = [&](const char* name) {
    return facts.is_object() && facts.contains(name) && facts.at(name).is_string()
               ? facts.at(name).get<std::string>()
               : std::string();
  };
  if (field("name") != network.name)
    fail(file,
         "was made with the network " + io::quote(field("name")) + ", this is \"" + network.name + "\"");
  if (field("hash") != network.hash)
    fail(file, "was made with other weights of " + network.name + ": " + io::quote(field("file")) +
                   ", SHA-256 " + field("hash").substr(0, 12) + ", these are " + network.file + ", " +
                   network.hash.substr(0, 12));
}

}  // namespace

int64_t statistics_in(const fs::path& file) {
  if (file.extension() != ".npz" || !fs::is_regular_file(file) || !io::npz_names(file).contains("sigma"))
    return 0;
  const auto arrays = io::read_npz(file, std::set<std::string>{"mu"});
  return arrays.contains("mu") ? arrays.at("mu").numel() : 0;
}

bool images_in(const fs::path& file) { return io::npz_names(file).contains("arr_0"); }

Reference read_reference(const fs::path& file, const NetworkFacts& network) {
  const auto arrays = io::read_npz(file, kWanted);
  if (!arrays.contains("mu") || !arrays.contains("sigma")) fail(file, "expected the arrays mu and sigma");
  require_same_network(file, arrays, network);
  int64_t count = 0;
  if (const auto stated = arrays.find("count"); stated != arrays.end() && stated->second.numel() == 1)
    count = stated->second.item<int64_t>();
  Reference reference{file.string(), {}, moments_in(file, arrays, "", count), {}, arrays.contains("network")};
  const int64_t dimension = reference.moments->mean.size(0);
  if (dimension != network.dimension)
    fail(file, "expected statistics of " + std::to_string(network.dimension) + " features of " +
                   network.name + ", found " + std::to_string(dimension));
  if (arrays.contains("mu_s") && arrays.contains("sigma_s"))
    reference.spatial = moments_in(file, arrays, "_s", count);
  if (!arrays.contains("features")) return reference;

  FeatureSet set{file.string(), network, {}, {}, {}, {}, {}};
  const int64_t rows = arrays.at("features").dim() > 0 ? arrays.at("features").size(0) : 0;
  set.features = rows_in(file, arrays, "features", rows);
  if (rows == 0 || set.features.size(1) != dimension)
    fail(file, "expected features of " + std::to_string(dimension) + " columns, found " +
                   c10::str(set.features.sizes()));
  set.spatial = rows_in(file, arrays, "spatial", rows);
  set.logits = rows_in(file, arrays, "logits", rows);
  const auto labels = arrays.find("labels");
  const bool usable = labels != arrays.end() && labels->second.dim() == 1 && labels->second.size(0) == rows &&
                      labels->second.scalar_type() == at::kLong;
  set.labels = usable ? labels->second : at::full({rows}, -1, at::kLong);
  reference.set = std::move(set);
  return reference;
}

void write_reference(const fs::path& file, const FeatureSet& set) {
  const auto moments = moments_of(set.features);
  const nlohmann::json network = {
      {"name", set.network.name},   {"distance", set.network.distance}, {"resize", set.network.resize},
      {"range", set.network.range}, {"file", set.network.file},         {"hash", set.network.hash},
      {"images", set.name}};
  Arrays arrays = {
      {"mu", moments.mean},
      {"sigma", moments.covariance},
      {"count", at::tensor({moments.count}, at::kLong)},
      {"features", set.features},
      {"labels", set.labels},
      {"network", bytes_of(network.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))}};
  if (set.logits.defined()) arrays["logits"] = set.logits;
  if (set.spatial.defined()) {
    const auto spatial = moments_of(set.spatial);
    arrays["spatial"] = set.spatial;
    arrays["mu_s"] = spatial.mean;
    arrays["sigma_s"] = spatial.covariance;
  }
  io::write_npz(file, arrays);
}

}  // namespace switchyard::metrics
