// What to tell someone whose command line does not fit: the argument, and the names nearest to it.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

namespace switchyard::app {

/// Adds an option by add(group, name, value, type, help).
inline auto option_adder(CLI::App& command) {
  return [&command](const char* group, const char* name, auto& value, const char* type,
                    const std::string& help) {
    return command.add_option(name, value, help)->type_name(type)->group(group);
  };
}

/// Lets every option of every command refuse "" as its value, which would read as "not given", and numbers that the library
/// would read in base 16 or 8: 0x10, 010.
void refuse_unclear_values(CLI::App& program);

/// The message for a failed parse of `program`, with a pointer to the fitting --help.
std::string explain(const CLI::ParseError& error, const CLI::App& program);

/// Throws std::invalid_argument unless low <= value <= high.
void require_range(const char* option, int64_t value, int64_t low, int64_t high);

/// Makes sure, before the long work, that `file` can be written: its extension is the right one (else
/// std::invalid_argument), its folder is there and takes files (else io::OutputError). Leaves nothing behind, not even what
/// killed processes did.
void require_writable(const char* option, const std::filesystem::path& file, const std::string& extension);

/// Creates the folder if it is missing; of one that is there, the temporaries of dead processes go. Throws io::OutputError where that fails.
void create_folder(const std::filesystem::path& folder);

}  // namespace switchyard::app
