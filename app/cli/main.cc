// The `switchyard` program: dispatch to a command, and failures as exit codes.
//
// 0 done, 1 unexpected failure, 2 usage, 3 bad input file, 4 out of memory, 5 cannot write, 130 cancelled.
#include <c10/util/Exception.h>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string_view>

#include "app/cli/commands.h"
#include "app/cli/interrupt.h"
#include "app/cli/progress.h"
#include "app/cli/usage.h"
#include "io/error.h"
#include "io/mapped_file.h"
#include "io/text.h"
#include "pipeline/out_of_memory.h"

namespace switchyard::app {
namespace {

enum ExitCode {
  kDone = 0,
  kUnexpected = 1,
  kUsage = 2,
  kBadInput = 3,
  kOutOfMemory = 4,
  kCannotWrite = 5,
  kCancelled = 130
};

ExitCode fail(ExitCode code, std::string_view message) {
  std::cerr << "switchyard: " << io::printable(message) << std::endl;
  return code;
}

ExitCode run(int argc, char** argv) {
  CLI::App program(
      "Generates images with mixture-of-experts diffusion transformers and shows which expert drew what.",
      "switchyard");
  program.set_version_flag("--version", "switchyard " SWITCHYARD_VERSION, "Print the version and exit");
  program.set_help_flag("-h,--help", "Print this help and exit");
  program.require_subcommand(0, 1);
  program.footer(
      "First steps:\n"
      "  switchyard sample --grid grid.png --map map.png   draw one image per class, and who drew it\n"
      "  switchyard COMMAND --help                         everything that a command can do");
  add_sample_command(program);
  add_merge_command(program);
  add_train_command(program);
  add_dataset_command(program);
  add_evaluate_command(program);
  add_info_command(program);
  add_convert_command(program);
  refuse_unclear_values(program);
  try {
    program.parse(argc, argv);
    if (!program.get_subcommands().empty()) return kDone;
    std::cerr << program.help();
    return kUsage;
  } catch (const CLI::Success& request) {
    program.exit(request);  // --help, --version
    return kDone;
  } catch (const CLI::ParseError& error) {
    std::cerr << io::printable(explain(error, program)) << std::endl;
    return kUsage;
  }
}

ExitCode guarded_run(int argc, char** argv) try {
  const ExitCode code = run(argc, argv);
  flush_results();
  return code;
} catch (const Unheard&) {
  return kCannotWrite;
} catch (const Cancelled&) {
  return fail(kCancelled, "cancelled");
} catch (const io::InputError& error) {
  return fail(kBadInput, error.what());
} catch (const io::OutputError& error) {
  return fail(kCannotWrite, error.what());
} catch (const std::filesystem::filesystem_error& error) {
  return fail(kCannotWrite, error.what());
} catch (const std::invalid_argument& error) {
  return fail(kUsage, error.what());
} catch (const std::exception& error) {
  if (pipeline::is_out_of_memory(error)) return fail(kOutOfMemory, pipeline::out_of_memory_text(error));
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
  return fail(kUnexpected, of_torch != nullptr ? of_torch->what_without_backtrace() : error.what());
}

}  // namespace
}  // namespace switchyard::app

int main(int argc, char** argv) {
  std::signal(SIGXFSZ,
              SIG_IGN);  // a file that grows beyond a limit is a failed write, not the end of the program
  std::signal(SIGPIPE, SIG_IGN);  // and so is a reader who has gone
  switchyard::io::end_when_a_mapped_file_shrinks("switchyard");
  switchyard::app::watch_interrupts();
  return switchyard::app::guarded_run(argc, argv);
}
