// One field of somebody else's JSON, of the type that it has to be.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "io/error.h"

namespace switchyard::dit {

/// The value of `key`, an int64_t, double, bool or text; `otherwise` where it is absent or null. Throws io::InputError
/// naming `source`, the key and what came for a value of another type.
template <class Value>
Value json_field(const nlohmann::json& object, const char* key, Value otherwise, const std::string& source) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return otherwise;
  constexpr bool whole = std::is_same_v<Value, int64_t>;
  bool fits = std::is_same_v<Value, bool>          ? found->is_boolean()
              : std::is_same_v<Value, std::string> ? found->is_string()
              : whole                              ? found->is_number_integer()
                                                   : found->is_number();
  if (whole && found->is_number_unsigned())
    fits = found->template get<uint64_t>() <= std::numeric_limits<int64_t>::max();
  if (fits) return found->template get<Value>();
  throw io::InputError(source + ": " + key + " is " +
                       found->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).substr(0, 60) +
                       ", expected " +
                       (std::is_same_v<Value, bool>          ? "true or false"
                        : std::is_same_v<Value, std::string> ? "a text"
                        : whole                              ? "a whole number"
                                                             : "a number"));
}

}  // namespace switchyard::dit
