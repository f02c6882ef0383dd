// The commands of the `switchyard` program. Each adds its options and help to the program and runs when it
// was named.
//
// A command reports by exception: std::invalid_argument (usage), io::InputError, io::OutputError, Cancelled;
// main.cc turns them into exit codes. Paths of written files go to stdout, one per line; everything else goes
// to stderr.
#pragma once

#include <CLI/CLI.hpp>

namespace switchyard::app {

void add_sample_command(CLI::App& program);
void add_train_command(CLI::App& program);
void add_dataset_command(CLI::App& program);
void add_evaluate_command(CLI::App& program);
void add_info_command(CLI::App& program);
void add_convert_command(CLI::App& program);

}  // namespace switchyard::app
