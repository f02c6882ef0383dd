#include "app/cli/usage.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/near_misses.h"

namespace switchyard::app {
namespace {

std::string joined(const std::string& text, const std::vector<std::string>& known) {
  return text + ": " +
         io::near_misses(text.substr(0, text.find('=')),
                         std::vector<std::string_view>(known.begin(), known.end()));
}

std::string unexpected_argument(const CLI::App& program, const CLI::App& command) {
  const auto extras = command.remaining();
  const std::string given = extras.empty() ? "" : extras.front();
  std::vector<std::string> known;
  if (given.starts_with("-")) {
    for (const CLI::Option* option : command.get_options()) {
      for (const auto& name : option->get_lnames()) known.push_back("--" + name);
    }
    return "unknown option " + joined(given, known);
  }
  if (&command != &program) return "unexpected argument \"" + given + "\" (options begin with --)";
  for (const CLI::App* each : program.get_subcommands({})) known.push_back(each->get_name());
  return "unknown command " + joined(given, known);
}

}  // namespace

void refuse_unclear_values(CLI::App& program) {
  constexpr std::array<std::string_view, 7> kNumbers = {"N", "I", "K", "L", "S", "X", "LOW HIGH"};
  for (CLI::App* command : program.get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      if (option->get_items_expected_max() == 0) continue;  // a flag
      const bool is_number = std::ranges::find(kNumbers, option->get_type_name()) != kNumbers.end();
      option->check(
          [is_number](const std::string& value) -> std::string {
            if (value.empty()) return "expected a value, got \"\"";
            const size_t first = value.find_first_not_of("+-");
            const bool other_base = first != value.npos && value[first] == '0' && first + 1 < value.size() &&
                                    std::isalnum(static_cast<unsigned char>(value[first + 1])) != 0 &&
                                    std::tolower(static_cast<unsigned char>(value[first + 1])) != 'e';
            return is_number && other_base ? "expected a decimal number without leading zeros, got " + value
                                           : "";
          },
          "");
    }
  }
}

std::string explain(const CLI::ParseError& error, const CLI::App& program) {
  const auto named = program.get_subcommands();
  const CLI::App& command = named.empty() ? program : *named.front();
  const std::string title = named.empty() ? "switchyard" : "switchyard " + command.get_name();
  const bool surplus = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  return title + ": " + (surplus ? unexpected_argument(program, command) : error.what()) + "\nSee " + title +
         " --help";
}

void require_range(const char* option, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return;
  throw std::invalid_argument(std::string(option) + ": expected " + std::to_string(low) + " .. " +
                              std::to_string(high) + ", got " + std::to_string(value));
}

void require_writable(const char* option, const std::filesystem::path& file, const std::string& extension) {
  if (file.extension() != extension) {
    throw std::invalid_argument(std::string(option) + ": expected a file name ending in " + extension +
                                ", got \"" + file.string() + "\"");
  }
  io::AtomicFile probe(file);  // never committed
  io::remove_dead_temporaries(file.has_parent_path() ? file.parent_path() : ".");
}

void create_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error && !std::filesystem::is_directory(folder))
    error = std::make_error_code(std::errc::not_a_directory);
  if (error) throw io::OutputError(folder.string() + ": cannot be created: " + error.message());
  io::remove_dead_temporaries(folder);
}

}  // namespace switchyard::app
