// What a PyTorch file holds, as a plain tree.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace switchyard::io {

struct TorchItem;

struct TorchValue {
  enum class Kind : std::uint8_t { null, boolean, integer, real, string, tensor, list, tuple, dict, object };

  Kind kind = Kind::null;
  std::variant<std::monostate, bool, std::int64_t, double, std::string, at::Tensor, std::vector<TorchValue>,
               std::vector<TorchItem>>
      value;

  // std::bad_variant_access where it is of another kind.
  bool boolean() const { return std::get<bool>(value); }
  std::int64_t integer() const { return std::get<std::int64_t>(value); }
  double real() const { return std::get<double>(value); }
  const std::string& string() const { return std::get<std::string>(value); }  // UTF-8
  const at::Tensor& tensor() const { return std::get<at::Tensor>(value); }
  const std::vector<TorchValue>& elements() const { return std::get<std::vector<TorchValue>>(value); }
  const std::vector<TorchItem>& items() const { return std::get<std::vector<TorchItem>>(value); }

  bool has_elements() const { return kind == Kind::list || kind == Kind::tuple; }
  bool has_items() const { return kind == Kind::dict || kind == Kind::object; }

  // The value under a text key of a dict or object; nullptr where there is none, or no items at all.
  const TorchValue* find(std::string_view key) const;
};

// One entry of a dict, or one attribute of an object.
struct TorchItem {
  TorchValue key;  // null, boolean, integer, real or string; no key occurs twice
  TorchValue value;
};

// For what is not weights, such as stored training arguments: lists and tuples become arrays, dicts and
// objects become objects (a key that is no text by its JSON text), a tensor {"dtype": "float32", "shape":
// [2, 3]}, and a number that JSON lacks becomes null.
nlohmann::json to_json(const TorchValue& value);

}  // namespace switchyard::io
