#include "parity_case.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <stdexcept>

#include "io/safetensors.h"

namespace switchyard::sampler {

std::filesystem::path parity_folder() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const std::filesystem::path fixtures = given && *given ? given : SWITCHYARD_FIXTURE_DIR;
  const auto folder = fixtures / "solvers";
  return std::filesystem::is_directory(folder) ? folder : fixtures;
}

nlohmann::json parity_json(const std::string& file) {
  std::ifstream stream(parity_folder() / file);
  if (!stream) throw std::runtime_error((parity_folder() / file).string() + ": cannot be read");
  return nlohmann::json::parse(stream);
}

std::vector<std::string> parity_case_names() {
  if (!std::filesystem::exists(parity_folder() / "cases.json")) return {};
  std::vector<std::string> names;
  const auto json = parity_json("cases.json");
  for (const auto& entry : json.at("cases").items()) names.push_back(entry.key());
  return names;
}

std::map<std::string, at::Tensor> parity_tensors(const std::string& file) {
  return io::read_safetensors(parity_folder() / file).tensors;
}

Mixture parity_mixture(const std::string& name) {
  const auto tensors = parity_tensors("mixture_" + name + ".safetensors");
  return {tensors.at("weights"), tensors.at("means"), tensors.at("stds")};
}

double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (actual.sizes() != expected.sizes() || expected.numel() == 0) return kInfinite;
  const auto a = actual.to(at::kDouble), e = expected.to(at::kDouble);
  const double difference = (a - e).abs().max().item<double>(), size = e.abs().max().item<double>();
  if (difference == 0) return 0;
  const double error = difference / size;
  return std::isfinite(error) ? error : kInfinite;
}

ParityCase ParityCase::load(const std::string& name) {
  ParityCase c;
  c.name = name;
  c.json = parity_json("cases.json").at("cases").at(name);
  c.tensors = parity_tensors(c.json.at("file").get<std::string>());
  c.mixture = parity_mixture(c.json.at("mixture").get<std::string>());
  return c;
}

const at::Tensor& ParityCase::recorded(const std::string& tensor) const {
  const auto found = tensors.find(tensor);
  if (found == tensors.end()) throw std::runtime_error(name + ": no tensor \"" + tensor + "\"");
  return found->second;
}

std::vector<double> ParityCase::numbers(const std::string& tensor) const {
  const auto values = recorded(tensor).to(at::kDouble).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

}  // namespace switchyard::sampler
