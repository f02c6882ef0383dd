#include "metrics/feature_network.h"

#include <stdexcept>

#include "io/near_misses.h"
#include "metrics/dinov2.h"
#include "metrics/efficientnet.h"
#include "metrics/inception.h"

namespace switchyard::metrics {
namespace {

using Open = std::unique_ptr<FeatureNetwork> (*)(const std::filesystem::path& file, at::Device device);

struct Known {
  std::string_view name;
  Open open;
};

std::unique_ptr<FeatureNetwork> open_dinov2(const std::filesystem::path& file, at::Device device) {
  return std::make_unique<DinoV2>(file, device);
}

template <int variant>
std::unique_ptr<FeatureNetwork> open_efficientnet(const std::filesystem::path& file, at::Device device) {
  return std::make_unique<EfficientNet>(variant, file, device);
}

template <InceptionInput input>
std::unique_ptr<FeatureNetwork> open_inception(const std::filesystem::path& file, at::Device device) {
  return std::make_unique<Inception>(input, file, device);
}

const std::vector<Known>& known_networks() {
  static const std::vector<Known> networks = {
      {"efficientnet-lite0", open_efficientnet<0>},
      {"efficientnet-lite2", open_efficientnet<2>},
      {"inception-pytorch-fid", open_inception<InceptionInput::pytorch_fid>},
      {"inception-torch-fidelity", open_inception<InceptionInput::torch_fidelity>},
      {"inception-clean-fid", open_inception<InceptionInput::clean_fid>},
      {"dinov2", open_dinov2},
  };
  return networks;
}

}  // namespace

std::vector<std::string> network_names() {
  std::vector<std::string> names;
  for (const auto& network : known_networks()) names.emplace_back(network.name);
  return names;
}

std::unique_ptr<FeatureNetwork> open_network(const std::string& name, const std::filesystem::path& file,
                                             at::Device device) {
  std::vector<std::string_view> names;
  for (const auto& network : known_networks()) {
    if (network.name == name) return network.open(file, device);
    names.push_back(network.name);
  }
  throw std::invalid_argument("unknown feature network \"" + name + "\": " + io::near_misses(name, names));
}

}  // namespace switchyard::metrics
