// The two failures that io reports: an input file that cannot be used, and an output file that cannot be
// written.
#pragma once

#include <stdexcept>

namespace switchyard::io {

// A file from outside is missing, unreadable, damaged or not what was asked for (exit code 3).
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A file cannot be written: no such folder, no permission, disk full (exit code 5).
class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace switchyard::io
