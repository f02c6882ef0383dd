// What a command tells the person who waits: one line on stderr that rewrites itself on a terminal; elsewhere
// (a log file) a plain line twice a minute.
#pragma once

#include <chrono>
#include <string>

namespace switchyard::app {

class Progress {
 public:
  explicit Progress(bool quiet);  // quiet: results only
  ~Progress();                    // removes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// done: 0 .. 1, the share of the work that is finished; text says where it stands, such as "3/10 images".
  void show(double done, const std::string& text, double seconds_left);

  /// A line that stays, on stderr.
  void say(const std::string& line);

  /// A line that stays whatever `quiet` says, on stderr: something is not as was asked for.
  void warn(const std::string& line);

  /// A result, on stdout. Throws as flush_results().
  void result(const std::string& line);

 private:
  void erase();

  bool quiet_, terminal_, line_shown_ = false;
  std::chrono::steady_clock::time_point next_;
};

/// Thrown where nobody reads standard output any more (exit code 5, and no word: `switchyard info | head -1`).
struct Unheard {};

/// Throws Unheard or, for another reason why results cannot be written, io::OutputError.
void flush_results();

/// "0.8 s", "42 s", "3 min 05 s", "2 h 07 min".
std::string duration_text(double seconds);

}  // namespace switchyard::app
