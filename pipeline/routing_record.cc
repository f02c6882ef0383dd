#include "pipeline/routing_record.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <array>
#include <stdexcept>
#include <vector>

#include "dit/token_router.h"
#include "io/npz.h"
#include "sampler/schedule.h"

namespace switchyard::pipeline {
namespace {

constexpr double kMostBytes = 4.0 * (1LL << 30);

}  // namespace

RoutingRecord::RoutingRecord(const dit::ModelConfig& config, const Request& request)
    : RoutingRecord(config, request, config.routes_tokens() ? Router::tokens : Router::timesteps) {}

RoutingRecord::RoutingRecord(const dit::ModelConfig& config, const Request& request, Router router,
                             bool keep_probabilities)
    : config_(config), router_(router) {
  if (!(router == Router::tokens ? config.routes_tokens() : config.routes_timesteps())) {
    throw std::invalid_argument("a model of the family " + config.family + " routes no " +
                                (router == Router::tokens ? "tokens" : "timesteps") +
                                " to experts: there is nothing to record");
  }
  const int64_t tokens = router == Router::tokens ? config.tokens() : 1;
  const auto* kind = dit::find_part(dit::token_routers(), config.token_router);
  const int64_t k = router == Router::timesteps ? config.experts_per_timestep
                    : kind->ragged              ? config.num_experts
                                                : config.experts_per_token;
  const auto images = static_cast<int64_t>(request.images.size());
  const sampler::Schedule schedule(config.schedule);
  std::vector<double> grid;
  for (const auto& step : steps_of(config, request.settings))
    grid.push_back(schedule.noise_fraction(step.from.t));
  const auto steps = static_cast<int64_t>(grid.size());

  const auto dtype = num_experts() < 256 ? at::kByte : at::kShort;
  const double of_token = static_cast<double>(k) * (dtype == at::kByte ? 3.0 : 4.0) +
                          (keep_probabilities ? 2.0 * static_cast<double>(num_experts()) : 0.0);
  const double bytes = static_cast<double>(images) * static_cast<double>(steps) *
                       static_cast<double>(config.depth) * 2.0 * static_cast<double>(tokens) * of_token;
  if (bytes > kMostBytes) {
    throw std::invalid_argument(c10::str("recording the routing of ", images, " images at ", steps,
                                         " steps would take ", static_cast<int64_t>(bytes / (1LL << 30)),
                                         " GiB, more than the limit of 4 GiB: record fewer images or steps"));
  }
  std::array<int64_t, 6> shape = {images, steps, config.depth, 2, tokens, k};
  experts = at::full(shape, no_expert(), dtype);
  gate_weights = at::zeros(shape, at::kHalf);
  if (keep_probabilities) {
    shape.back() = num_experts();
    probabilities = at::zeros(shape, at::kHalf);
  }
  evaluated = at::zeros({images, steps, 2}, at::kBool);
  times = at::tensor(grid, at::kDouble);
  labels = at::empty({images}, at::kLong);
  seeds = at::empty({images}, at::kLong);
  for (int64_t i = 0; i < images; ++i) {
    labels[i] = request.images[i].label;
    seeds[i] = static_cast<int64_t>(request.images[i].seed);
  }
}

int64_t RoutingRecord::num_experts() const {
  return router_ == Router::tokens ? config_.num_experts : config_.timestep_experts;
}

void RoutingRecord::add(const StepRouting& routing) {
  const auto& weights = routing.of(router_).gate_weights;  // [layers, images, T, E]
  if (routing.evaluation > 0 || !weights.defined()) return;
  const int64_t half = routing.conditional ? 0 : 1, k = experts.size(-1);
  const auto place = [&](const at::Tensor& tensor) {  // [images of the batch, ...]
    return tensor.narrow(0, routing.first_image, routing.images).select(1, routing.step);
  };
  const auto sorted = at::sort(weights, /*stable=*/true, /*dim=*/-1, /*descending=*/true);
  const auto strongest = std::get<0>(sorted).narrow(-1, 0, k).transpose(0, 1);  // [images, layers, T, k]
  const auto chosen = std::get<1>(sorted).narrow(-1, 0, k).transpose(0, 1);
  place(gate_weights).select(2, half).copy_(strongest);
  place(experts).select(2, half).copy_(at::where(strongest > 0, chosen, no_expert()));
  const auto& thought = routing.of(router_).probabilities;
  if (probabilities.defined() && thought.defined())
    place(probabilities).select(2, half).copy_(thought.transpose(0, 1));
  place(evaluated).select(1, half).fill_(true);
}

std::function<bool(const StepRouting&)> RoutingRecord::recorder() {
  return [this](const StepRouting& routing) {
    add(routing);
    return true;
  };
}

std::vector<RoutingRecord> routing_records(const dit::ModelConfig& config, const Request& request,
                                           bool keep_probabilities) {
  std::vector<RoutingRecord> records;
  if (config.routes_tokens()) records.emplace_back(config, request, Router::tokens, keep_probabilities);
  if (config.routes_timesteps()) records.emplace_back(config, request, Router::timesteps, keep_probabilities);
  return records;
}

void save_routing(const std::filesystem::path& path, const RoutingRecord& record,
                  const RoutingRecord* timesteps) {
  std::map<std::string, at::Tensor> arrays = {
      {"experts", record.experts},
      {"gate_weights", record.gate_weights},
      {"evaluated", record.evaluated},
      {"times", record.times},
      {"labels", record.labels},
      {"seeds", record.seeds},
      {"num_experts", at::scalar_tensor(record.num_experts(), at::kLong)}};
  if (timesteps != nullptr) {
    arrays["timestep_experts"] = timesteps->experts;
    arrays["timestep_gate_weights"] = timesteps->gate_weights;
    arrays["num_timestep_experts"] = at::scalar_tensor(timesteps->num_experts(), at::kLong);
  }
  io::write_npz(path, arrays);
}

}  // namespace switchyard::pipeline
