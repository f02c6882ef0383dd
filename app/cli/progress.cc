#include "app/cli/progress.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "io/error.h"
#include "io/text.h"

namespace switchyard::app {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kTerminalPause = std::chrono::milliseconds(100);
constexpr auto kPlainPause = std::chrono::seconds(30);

int terminal_width() {
  winsize size = {};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string formatted(const char* format, auto... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {
  // A log needs no line of work that takes seconds.
  next_ = Clock::now() + (terminal_ ? Clock::duration::zero() : Clock::duration(kPlainPause));
}

Progress::~Progress() { erase(); }

void Progress::show(double done, const std::string& text, double seconds_left) {
  if (quiet_ || Clock::now() < next_) return;
  const std::string line = formatted("%3.0f %%  ", 100 * std::clamp(done, 0.0, 1.0)) +
                           io::printable(text, true) + "  " + duration_text(seconds_left) + " left";
  if (terminal_) {
    // A line that wraps could not be rewritten.
    std::cerr << "\r\x1b[K" << line.substr(0, static_cast<size_t>(std::max(1, terminal_width() - 1)))
              << std::flush;
    line_shown_ = true;
    next_ = Clock::now() + kTerminalPause;
  } else {
    std::cerr << line << std::endl;
    next_ = Clock::now() + kPlainPause;
  }
}

void Progress::say(const std::string& line) {
  if (!quiet_) warn(line);
}

void Progress::warn(const std::string& line) {
  erase();
  std::cerr << io::printable(line) << std::endl;
}

void Progress::result(const std::string& line) {
  erase();
  // Names of files go to other programs as they are.
  const bool seen = ::isatty(STDOUT_FILENO) == 1;
  std::cout << (seen ? io::printable(line) : line) << '\n';
  flush_results();
}

void Progress::erase() {
  if (line_shown_) std::cerr << "\r\x1b[K" << std::flush;
  line_shown_ = false;
}

void flush_results() {
  if (std::cout.flush()) return;
  pollfd out = {STDOUT_FILENO, POLLOUT, 0};
  if (::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0) throw Unheard();
  throw io::OutputError("cannot write to standard output");
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 9.95) return formatted("%.1f s", seconds);
  const auto whole = std::llround(std::min(seconds, 1e12));
  if (whole < 60) return formatted("%lld s", whole);
  if (whole < 3600) return formatted("%lld min %02lld s", whole / 60, whole % 60);
  return formatted("%lld h %02lld min", whole / 3600, whole / 60 % 60);
}

}  // namespace switchyard::app
