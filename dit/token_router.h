// Who picks the routed experts of a block: scores of every expert for every token, and a selection from them.
//
// A token router is one file that implements the class below and one line in the table (token_router.cc).
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "dit/parts.h"

namespace switchyard::dit {

class TokenRouter : public Part {
 public:
  /// x [N, T, D] -> who works on which of the N * T tokens. k: experts per token, on average where the tokens do
  /// not pick themselves. No image's routing depends on another image.
  virtual kernels::Routing operator()(const at::Tensor& x, int64_t k, const kernels::Selection& selection) const = 0;

  /// Brings the gate into its fast form.
  virtual void pack() = 0;

  /// See FeedForward::balance.
  virtual void balance(const at::Tensor& /*choices*/) {}
};

/// Scores by a linear gate, p = softmax(x gate^T): what the published routers have in common.
class GatedRouter : public TokenRouter {
 public:
  GatedRouter(int64_t experts, int64_t width, const at::TensorOptions& options);

  void pack() override;
  std::vector<Parameter> parameters(const std::string& prefix) override;
  void initialize(const at::Generator& generator) override;  // U(-1 / sqrt(D), 1 / sqrt(D))

 protected:
  at::Tensor probabilities(const at::Tensor& rows) const;  // [T, D] -> [T, E]
  kernels::Routing top_k(const at::Tensor& x, int64_t k, const kernels::Selection& selection) const;

 private:
  at::Tensor gate_;             // [E, D]
  kernels::PackedGate packed_;  // defined after pack()
};

struct TokenRouterKind {
  std::string_view name;  // as in the configuration
  std::unique_ptr<TokenRouter> (*make)(int64_t experts, int64_t width, const at::TensorOptions&);
  bool needs_balance_loss;  // training adds the load-balance loss, or the experts would not stay balanced
  bool ragged;              // a token may have any number of experts, not k
};

std::span<const TokenRouterKind> token_routers();

}  // namespace switchyard::dit
