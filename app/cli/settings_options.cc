#include "app/cli/settings_options.h"

#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

namespace switchyard::app {
namespace {

// In lines that fit a terminal beside the options' names.
std::string wrapped(const std::string& text) {
  constexpr size_t kWidth = 90;
  std::string lines;
  size_t begin = 0;
  while (text.size() - begin > kWidth) {
    const auto space = text.rfind(' ', begin + kWidth);
    lines += text.substr(begin, space - begin) + '\n';
    begin = space + 1;
  }
  return lines + text.substr(begin);
}

template <class Value>
std::string help_of(const pipeline::Field& field, const Value&) {
  std::string help = field.help;
  if constexpr (std::is_enum_v<Value>) {
    std::string separator = ": ";
    for (const auto name : pipeline::names_of(Value{})) {
      help += separator + std::string(name);
      separator = ", ";
    }
  } else if constexpr (std::is_arithmetic_v<Value>) {
    if (std::isfinite(field.range.high) && field.most == nullptr) help += " (" + field.range.text() + ")";
  }
  return wrapped(help);
}

}  // namespace

void add_settings_options(CLI::App& command, pipeline::GivenSettings& given, const char* title) {
  const pipeline::Settings settings;
  CLI::Option* before = nullptr;
  const auto add = [&](const pipeline::Field& field, const auto& value) {
    using Value = std::remove_cvref_t<decltype(value)>;
    const std::string name = field.option;
    if (before != nullptr && before->get_name() == name) {
      before->type_size(2)->type_name("LOW HIGH");
      return;
    }
    const auto take = [&given, name](const std::vector<std::string>& texts) { given[name] = texts; };
    const char* type = std::is_integral_v<Value> ? "N" : std::is_floating_point_v<Value> ? "X" : "NAME";
    before = command.add_option_function<std::vector<std::string>>(name, take, help_of(field, value));
    before->expected(1)->type_name(type)->group(title);
  };
  pipeline::for_each_field(add, settings);
}

}  // namespace switchyard::app
