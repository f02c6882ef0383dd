// Runs the `switchyard` program as a person would: arguments in, exit code and both streams out.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace switchyard::app {

struct Outcome {
  int code = -1;  // exit code; -signal where a signal ended it
  std::string out, err;
};

inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

struct Launch {
  std::filesystem::path folder = {};  // working folder; the streams are kept beside it
  std::string stdout_to = {};         // default: kept for Outcome::out
  rlim_t file_size_limit = RLIM_INFINITY;
  rlim_t memory_limit = RLIM_INFINITY;
  std::function<bool()> interrupt_when = {};  // the signal is sent as soon as this is true
  int interrupt_signal = SIGINT;
  std::vector<std::string> environment = {};  // "NAME=value", beside what the tests have
};

inline Outcome run(const std::vector<std::string>& arguments, const Launch& launch) {
  const std::string out = launch.folder.string() + ".out", err = launch.folder.string() + ".err";
  const pid_t child = ::fork();
  if (child == 0) {
    const auto redirect = [](const std::string& file, int descriptor) {
      const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
      ::dup2(opened, descriptor);
    };
    redirect(launch.stdout_to.empty() ? out : launch.stdout_to, STDOUT_FILENO);
    redirect(err, STDERR_FILENO);
    const rlimit files = {launch.file_size_limit, launch.file_size_limit},
                 memory = {launch.memory_limit, launch.memory_limit};
    ::setrlimit(RLIMIT_FSIZE, &files);
    ::setrlimit(RLIMIT_AS, &memory);
    if (::chdir(launch.folder.c_str()) != 0) ::_exit(126);
    ::unsetenv("OMP_WAIT_POLICY");  // as a person has it: the program sees to that itself
    ::unsetenv("GOMP_SPINCOUNT");
    for (const auto& entry : launch.environment) ::putenv(const_cast<char*>(entry.c_str()));
    std::vector<char*> argv = {const_cast<char*>("switchyard")};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execv(SWITCHYARD_PROGRAM, argv.data());
    ::_exit(127);
  }
  int status = 0;
  bool interrupted = false;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (launch.interrupt_when && !interrupted && launch.interrupt_when()) {
      ::kill(child, launch.interrupt_signal);
      interrupted = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), text_of(out), text_of(err)};
}

}  // namespace switchyard::app
