#include "io/tensor_list.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "io/own_bytes.h"
#include "io/safetensors.h"
#include "io/torch_file.h"

namespace switchyard::io {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

std::string text_of(const TorchValue& key) {
  return key.kind == TorchValue::Kind::string ? key.string() : to_json(key).dump();
}

void collect(const TorchValue& value, const std::string& way, Tensors& tensors) {
  const auto within = [&](const std::string& name) { return way.empty() ? name : way + "." + name; };
  if (value.kind == TorchValue::Kind::tensor) {
    // Two ways can have the same name: {"a": {"b": _}, "a.b": _}.
    auto name = way.empty() ? std::string("tensor") : way;
    while (tensors.contains(name)) name += "'";
    tensors.emplace(std::move(name), value.tensor());
  } else if (value.has_elements()) {
    for (std::size_t i = 0; i < value.elements().size(); ++i)
      collect(value.elements()[i], within(std::to_string(i)), tensors);
  } else if (value.has_items()) {
    for (const auto& item : value.items()) collect(item.value, within(text_of(item.key)), tensors);
  }
}

}  // namespace

std::vector<std::pair<std::string, at::Tensor>> all_tensors(const std::filesystem::path& path) {
  Tensors tensors;
  if (is_torch_file(path)) {
    collect(read_torch_file(path), "", tensors);
    require_own_bytes(tensors, path.string());
  } else {
    tensors = read_safetensors(path).tensors;
  }
  return {tensors.begin(), tensors.end()};
}

TensorFacts facts_of(const at::Tensor& tensor) {
  constexpr std::int64_t kPiece = 1 << 20;
  TensorFacts facts;
  if (tensor.is_complex()) {
    facts.mean = facts.deviation = std::numeric_limits<double>::quiet_NaN();
    return facts;
  }
  const auto numbers = tensor.reshape({-1});
  double sum = 0, squares = 0;
  std::int64_t finite = 0;
  for (const bool second : {false, true}) {  // around the mean, or a small deviation beside a large mean would be lost
    for (std::int64_t first = 0; first < numbers.numel(); first += kPiece) {
      const auto piece = numbers.narrow(0, first, std::min(kPiece, numbers.numel() - first)).to(at::kDouble);
      const auto good = piece.masked_select(at::isfinite(piece));
      if (second) {
        squares += (good - facts.mean).square().sum().item<double>();
        continue;
      }
      sum += good.sum().item<double>();
      finite += good.numel();
      const auto nan = at::isnan(piece).sum().item<std::int64_t>();
      facts.nan += nan;
      facts.infinite += piece.numel() - good.numel() - nan;
    }
    if (finite == 0) break;
    facts.mean = sum / static_cast<double>(finite);
  }
  if (finite > 0) facts.deviation = std::sqrt(squares / static_cast<double>(finite));
  return facts;
}

}  // namespace switchyard::io
