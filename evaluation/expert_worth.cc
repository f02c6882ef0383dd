#include "evaluation/expert_worth.h"

#include <c10/util/StringUtil.h>

#include <stdexcept>

namespace switchyard::evaluation {

std::vector<Ablation> ablations(const dit::ModelConfig& config, const std::vector<int64_t>& layers,
                                const pipeline::RoutingRecipe& usual) {
  const bool tokens = config.routes_tokens();
  if (!tokens && !config.routes_timesteps())
    throw std::invalid_argument("the model has no experts: none of its layers routes");
  const auto router = tokens ? pipeline::Router::tokens : pipeline::Router::timesteps;
  const int64_t experts = tokens ? config.num_experts : config.timestep_experts;
  std::vector<Ablation> rows{{"as it is", usual}};
  const auto add = [&](const std::string& where, std::vector<int64_t> of, int64_t expert) {
    auto recipe = usual;
    recipe.push_back({.router = router, .layers = std::move(of), .experts = {expert}});
    rows.push_back({c10::str(where, "expert ", expert, " muted"), std::move(recipe)});
  };
  for (const int64_t layer : layers) {
    if (layer < 0 || layer >= config.depth)
      throw std::invalid_argument(c10::str("layer ", layer, ": expected 0 .. ", config.depth - 1));
    for (int64_t expert = 0; expert < experts; ++expert)
      add(c10::str("layer ", layer, ", "), {layer}, expert);
  }
  for (int64_t expert = 0; layers.empty() && expert < experts; ++expert) add("", {}, expert);
  return rows;
}

}  // namespace switchyard::evaluation
