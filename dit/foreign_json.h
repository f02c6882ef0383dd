// Somebody else's JSON object, whose fields have to be of the types that they have there.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "io/error.h"

namespace switchyard::dit {

class ForeignJson {
 public:
  /// `source` names it in messages; both must outlive this.
  ForeignJson(const nlohmann::json& object, const std::string& source) : json_(object), source_(source) {}

  [[noreturn]] void fail(const std::string& what) const { throw io::InputError(source_ + ": " + what); }

  /// The value of `key`, an int64_t, double, bool or text; `otherwise` where it is absent or null. Throws io::InputError
  /// naming the source, the key and what came for a value of another type.
  template <class Value>
  Value field(const char* key, Value otherwise) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return otherwise;
    constexpr bool whole = std::is_same_v<Value, int64_t>;
    bool fits = std::is_same_v<Value, bool>          ? found->is_boolean()
                : std::is_same_v<Value, std::string> ? found->is_string()
                : whole                              ? found->is_number_integer()
                                                     : found->is_number();
    if (whole && found->is_number_unsigned())
      fits = found->template get<uint64_t>() <= std::numeric_limits<int64_t>::max();
    if (fits) return found->template get<Value>();
    fail(std::string(key) + " is " +
         found->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).substr(0, 60) + ", expected " +
         (std::is_same_v<Value, bool>          ? "true or false"
          : std::is_same_v<Value, std::string> ? "a text"
          : whole                              ? "a whole number"
                                               : "a number"));
  }

 protected:
  const nlohmann::json& json_;
  const std::string& source_;
};

}  // namespace switchyard::dit
