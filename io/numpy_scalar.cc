#include "io/numpy_scalar.h"

#include <c10/util/Half.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace switchyard::io {
namespace {

using Kind = PickleNode::Kind;
using ValueKind = TorchValue::Kind;

// The arguments of an object of one of these classes; nullptr for any other node.
const std::vector<PickleRef>* arguments_of(const PickleGraph& graph, const PickleNode& node,
                                           std::initializer_list<std::string_view> classes) {
  const auto name = foreign_class(graph, node);
  for (const auto known : classes) {
    if (name != known) continue;
    const PickleNode& tuple = graph[node.children()[3]];
    return tuple.kind == Kind::tuple ? &tuple.children() : nullptr;
  }
  return nullptr;
}

// Protocol 2 has no bytes: Python writes a call of _codecs.encode(text, "latin1").
std::optional<std::string> bytes_of(const PickleGraph& graph, const PickleNode& node) {
  if (node.kind == Kind::bytes) return std::string(node.text());
  const auto* encoded = arguments_of(graph, node, {"_codecs.encode"});
  if (encoded == nullptr || encoded->empty() || graph[encoded->front()].kind != Kind::text) return std::nullopt;
  const auto text = graph[encoded->front()].text();
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto first = static_cast<unsigned char>(text[i]);
    if (first < 0x80) {
      bytes.push_back(text[i]);
    } else if ((first & 0xfc) == 0xc0 && i + 1 < text.size()) {  // U+0080 .. U+00FF
      bytes.push_back(static_cast<char>((first & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f)));
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

template <class T>
std::optional<TorchValue> as(const std::string& bytes) {
  T value;
  if (bytes.size() != sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data(), sizeof value);
  if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (value >> 63 != 0) return std::nullopt;
  }
  if constexpr (std::is_integral_v<T>)
    return TorchValue{ValueKind::integer, static_cast<std::int64_t>(value)};
  else
    return TorchValue{ValueKind::real, static_cast<double>(value)};
}

}  // namespace

std::optional<TorchValue> numpy_scalar(const PickleGraph& graph, const PickleNode& object) {
  const auto* given = arguments_of(graph, object, {"numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar"});
  if (given == nullptr || given->size() != 2) return std::nullopt;
  const auto* type = arguments_of(graph, graph[(*given)[0]], {"numpy.dtype"});
  if (type == nullptr || type->empty() || graph[type->front()].kind != Kind::text) return std::nullopt;
  const auto bytes = bytes_of(graph, graph[(*given)[1]]);
  if (!bytes) return std::nullopt;
  const auto name = graph[type->front()].text();
  if (name == "b1" && bytes->size() == 1) return TorchValue{ValueKind::boolean, bytes->front() != 0};
  if (name == "f8") return as<double>(*bytes);
  if (name == "f4") return as<float>(*bytes);
  if (name == "f2") return as<c10::Half>(*bytes);
  if (name == "i8") return as<std::int64_t>(*bytes);
  if (name == "i4") return as<std::int32_t>(*bytes);
  if (name == "i2") return as<std::int16_t>(*bytes);
  if (name == "i1") return as<std::int8_t>(*bytes);
  if (name == "u8") return as<std::uint64_t>(*bytes);
  if (name == "u4") return as<std::uint32_t>(*bytes);
  if (name == "u2") return as<std::uint16_t>(*bytes);
  if (name == "u1") return as<std::uint8_t>(*bytes);
  return std::nullopt;
}

}  // namespace switchyard::io
