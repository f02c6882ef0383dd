#include "io/torch_value.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/torch_globals.h"

namespace switchyard::io {

using Kind = TorchValue::Kind;

const TorchValue* TorchValue::find(std::string_view key) const {
  if (!has_items()) return nullptr;
  const auto item = std::find_if(items().begin(), items().end(), [&](const TorchItem& i) {
    return i.key.kind == Kind::string && i.key.string() == key;
  });
  return item != items().end() ? &item->value : nullptr;
}

nlohmann::json to_json(const TorchValue& value) {
  switch (value.kind) {
    case Kind::null:
      return nullptr;
    case Kind::boolean:
      return value.boolean();
    case Kind::integer:
      return value.integer();
    case Kind::real:
      return std::isfinite(value.real()) ? nlohmann::json(value.real()) : nlohmann::json(nullptr);
    case Kind::string:
      return value.string();
    case Kind::tensor:
      return {{"dtype", torch_dtype_name(value.tensor().scalar_type())},
              {"shape", value.tensor().sizes().vec()}};
    case Kind::list:
    case Kind::tuple: {
      nlohmann::json array = nlohmann::json::array();
      for (const TorchValue& element : value.elements()) array.push_back(to_json(element));
      return array;
    }
    case Kind::dict:
    case Kind::object: {
      nlohmann::json object = nlohmann::json::object();
      for (const TorchItem& item : value.items())
        object[item.key.kind == Kind::string ? item.key.string() : to_json(item.key).dump()] =
            to_json(item.value);
      return object;
    }
  }
  return nullptr;
}

}  // namespace switchyard::io
