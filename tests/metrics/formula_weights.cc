#include "formula_weights.h"

#include <unistd.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "io/safetensors.h"

namespace switchyard::metrics {
namespace {

namespace fs = std::filesystem;

struct TemporaryFile {
  fs::path path;
  ~TemporaryFile() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

}  // namespace

at::Tensor formula_numbers(const std::string& name, int64_t numel) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  auto numbers = at::empty({numel}, at::kDouble);
  auto* out = numbers.data_ptr<double>();
  for (int64_t i = 0; i < numel; ++i) {
    uint64_t z = hash + static_cast<uint64_t>(i) + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    out[i] = static_cast<double>(z >> 40) / (1 << 24);
  }
  return numbers;
}

at::Tensor formula_tensor(const std::string& name, at::IntArrayRef shape) {
  const auto u = formula_numbers(name, c10::multiply_integers(shape));
  const auto value = [&]() -> at::Tensor {
    if (name.ends_with("conv.weight") || name == "fc.weight") {
      const auto fan_in = static_cast<double>(c10::multiply_integers(shape.slice(1)));
      return (2 * u - 1) * (std::sqrt(3 / fan_in) * 1.35);
    }
    if (name.ends_with("bn.weight")) return 0.8 + 0.4 * u;
    if (name.ends_with("running_var")) return 0.5 + u;
    return 0.1 * (2 * u - 1);
  }();
  return value.to(at::kFloat).view(shape);
}

fs::path formula_inception(const fs::path& fixtures) {
  static const TemporaryFile file = [&] {
    std::ifstream stream(fixtures / "inception_weights_layout.json");
    const auto layout = nlohmann::json::parse(stream);
    io::StateDict tensors;
    for (const auto& entry : layout.at("tensors")) {
      const std::string name = entry.at("name");
      if (!entry.at("optional").get<bool>())
        tensors[name] = formula_tensor(name, entry.at("shape").get<std::vector<int64_t>>());
    }
    TemporaryFile written{fs::temp_directory_path() /
                          ("switchyard-inception-" + std::to_string(::getpid()) + ".safetensors")};
    io::write_safetensors(written.path, tensors);
    return written;
  }();
  return file.path;
}

}  // namespace switchyard::metrics
