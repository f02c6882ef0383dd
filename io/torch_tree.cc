#include "io/torch_tree.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "io/error.h"
#include "io/numpy_scalar.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

using Kind = PickleNode::Kind;
using ValueKind = TorchValue::Kind;

constexpr int kDeepest = 64;

// Decimal digits of a little-endian two's complement number.
std::string decimal(std::string_view bytes) {
  const bool negative = (bytes.back() & 0x80) != 0;
  std::vector<std::uint32_t> magnitude;
  std::uint32_t carry = negative ? 1 : 0;
  for (const char byte : bytes) {
    const std::uint32_t bits = (static_cast<unsigned char>(byte) ^ (negative ? 0xFFu : 0u)) + carry;
    magnitude.push_back(bits & 0xFF);
    carry = bits >> 8;
  }
  std::string digits;
  while (!magnitude.empty()) {
    std::uint32_t remainder = 0;
    for (std::size_t i = magnitude.size(); i-- > 0;) {
      remainder = remainder << 8 | magnitude[i];
      magnitude[i] = remainder / 10;
      remainder %= 10;
    }
    digits.push_back(static_cast<char>('0' + remainder));
    while (!magnitude.empty() && magnitude.back() == 0) magnitude.pop_back();
  }
  if (negative) digits.push_back('-');
  return {digits.rbegin(), digits.rend()};
}

class TreeMaker {
 public:
  TreeMaker(const PickleGraph& graph, const TorchStorages& storages, const std::string& where,
            MemoryBudget& budget)
      : graph_(graph), storages_(storages), where_(where), budget_(budget) {}

  TorchValue make(PickleRef ref, int depth) {
    const PickleNode& node = graph_[ref];
    if (depth > kDeepest)
      fail(node, "expected at most 64 levels of containers, found more (one that holds itself?)");
    switch (node.kind) {
      case Kind::null:
        return {};
      case Kind::boolean:
        return {ValueKind::boolean, node.flag()};
      case Kind::integer:
        return {ValueKind::integer, node.integer()};
      case Kind::real:
        return {ValueKind::real, node.real()};
      case Kind::big_integer:
        return {ValueKind::string, text(decimal(node.text()))};
      case Kind::text:
        return {ValueKind::string, text(node.text())};
      case Kind::device:
        return {ValueKind::string, text(device(node))};
      case Kind::global:
        if (node.global().role != TorchRole::dtype) break;
        return {ValueKind::string, text(std::string("torch.").append(node.global().name))};
      case Kind::foreign:
        return {ValueKind::string, angled(node.text())};
      case Kind::bytes:
        return {ValueKind::string, angled(describe(node))};
      case Kind::tensor:
        return {ValueKind::tensor, rebuild_tensor(graph_, node, storages_, where_, budget_)};
      case Kind::tuple:
        return {ValueKind::tuple, elements(node, depth)};
      case Kind::list:
        return {ValueKind::list, elements(node, depth)};
      case Kind::dict:
        return {ValueKind::dict, items(node, depth)};
      case Kind::object:
        return {ValueKind::object, items(node, depth)};
      case Kind::foreign_object:
        return foreign(node, depth);
      case Kind::storage:
        break;
    }
    if (in_foreign_ > 0) return {ValueKind::string, angled(describe(node))};
    fail(node, "expected tensors and plain data, found " + describe(node));
  }

 private:
  [[noreturn]] void fail(const PickleNode& node, const std::string& what) const {
    throw InputError(where_ + ": byte " + std::to_string(node.position) + ": " + what);
  }

  std::string text(std::string_view text) {
    budget_.take_block(text.size(), "texts");
    return std::string(text);
  }

  // What stands for itself alone.
  std::string angled(std::string_view name) {
    std::string shown = "<";
    shown += name;
    shown += '>';
    budget_.take_block(shown.size(), "texts");
    return shown;
  }

  // Tells it from others of its kind.
  static std::string at_byte(const PickleNode& node) {
    return describe(node).append(", byte ").append(std::to_string(node.position));
  }

  std::string device(const PickleNode& node) const {
    std::string name(graph_[node.children()[0]].text());
    if (node.children().size() == 2)
      name.append(":").append(std::to_string(graph_[node.children()[1]].integer()));
    return name;
  }

  // What nobody knows may hold what nothing else may.
  TorchValue foreign(const PickleNode& node, int depth) {
    if (const auto number = numpy_scalar(graph_, node)) return *number;
    ++in_foreign_;
    TorchValue made{ValueKind::object, items(node, depth)};
    --in_foreign_;
    return made;
  }

  std::vector<TorchValue> elements(const PickleNode& node, int depth) {
    std::vector<TorchValue> made;
    budget_.reserve(made, node.children().size(), "containers");
    for (const PickleRef child : node.children()) made.push_back(make(child, depth + 1));
    return made;
  }

  std::vector<TorchItem> items(const PickleNode& node, int depth) {
    std::vector<TorchItem> made;
    budget_.reserve(made, node.children().size() / 2, "containers");
    for (std::size_t i = 0; i < node.children().size(); i += 2) {
      const PickleNode& key = graph_[node.children()[i]];
      const bool is_scalar = key.kind == Kind::null || key.kind == Kind::boolean ||
                             key.kind == Kind::integer || key.kind == Kind::real || key.kind == Kind::text;
      if (!is_scalar && in_foreign_ == 0)
        fail(key, "expected a text or a number as the key of a dict, found " + describe(key));
      auto name = is_scalar ? make(node.children()[i], depth + 1)
                            : TorchValue{ValueKind::string, angled(at_byte(key))};
      made.push_back({std::move(name), make(node.children()[i + 1], depth + 1)});
    }
    check_keys(node, made);
    return made;
  }

  void check_keys(const PickleNode& node, const std::vector<TorchItem>& made) {
    std::vector<std::tuple<ValueKind, std::int64_t, std::string_view, PickleRef>> keys;
    budget_.reserve(keys, made.size(), "containers");
    for (std::size_t i = 0; i < made.size(); ++i) {
      const TorchValue& key = made[i].key;
      const PickleRef ref = node.children()[2 * i];
      if (key.kind == ValueKind::string)
        keys.emplace_back(key.kind, 0, key.string(), ref);
      else
        keys.emplace_back(key.kind, bits(key), std::string_view(), ref);
    }
    std::sort(keys.begin(), keys.end());
    for (std::size_t i = 1; i < keys.size(); ++i) {
      const auto& [kind, number, name, ref] = keys[i];
      if (kind == std::get<0>(keys[i - 1]) && number == std::get<1>(keys[i - 1]) &&
          name == std::get<2>(keys[i - 1]))
        fail(graph_[ref], "expected every key of a dict once, found twice " + describe(graph_[ref]));
    }
  }

  static std::int64_t bits(const TorchValue& key) {
    switch (key.kind) {
      case ValueKind::boolean:
        return key.boolean() ? 1 : 0;
      case ValueKind::integer:
        return key.integer();
      case ValueKind::real:
        return std::bit_cast<std::int64_t>(key.real());
      default:
        return 0;
    }
  }

  const PickleGraph& graph_;
  const TorchStorages& storages_;
  const std::string& where_;
  MemoryBudget& budget_;
  int in_foreign_ = 0;
};

}  // namespace

TorchValue make_tree(const PickleGraph& graph, const TorchStorages& storages, const std::string& where,
                     MemoryBudget& budget) {
  return TreeMaker(graph, storages, where, budget).make(graph.root, 0);
}

}  // namespace switchyard::io
