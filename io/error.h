// The failures that io reports: an input file that cannot be used, an output file that cannot be written, and memory that
// is short.
#pragma once

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

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

// There is no room for what is asked for, which the message names with its size (exit code 4).
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

}  // namespace switchyard::io
