// The PNGs of a folder, as small pictures: listed and decoded on a thread of its own, so that thousands of them cost the
// UI thread nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace switchyard::studio {

class Thumbnails {
 public:
  static constexpr int64_t kSide = 160;  // pixels of the longer side, at most

  struct Picture {
    at::Tensor rgba;      // [h, w, 4] uint8; undefined: not yet, or it cannot be read
    std::string problem;  // why it cannot
  };

  /// Begins to list the folder. `wake` is called on the other thread when there is something new; may be empty.
  Thumbnails(std::filesystem::path folder, std::function<void()> wake);
  ~Thumbnails();  // waits for one picture at most
  Thumbnails(const Thumbnails&) = delete;
  Thumbnails& operator=(const Thumbnails&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

  /// Takes in what is new. True: there was something.
  bool poll();

  bool listing() const { return !listed_; }
  const std::string& problem() const { return problem_; }                     // why there is no list
  const std::vector<std::filesystem::path>& files() const { return files_; }  // the newest first

  /// Of a file of the list; the pictures that were asked for last are made first. The last 1000 are kept.
  const Picture& of(size_t file);

 private:
  struct Kept {
    Picture picture;
    uint64_t used = 0;
  };
  struct Shared {  // of both threads
    bool closing = false, listed = false;
    std::string problem;
    std::vector<std::filesystem::path> files;
    std::vector<size_t> wanted;  // the last is next
    std::vector<std::pair<size_t, Picture>> made;
  };

  void work();
  void list();

  const std::filesystem::path folder_;
  const std::function<void()> wake_;

  bool listed_ = false;
  std::string problem_;
  std::vector<std::filesystem::path> files_;
  std::unordered_map<size_t, Kept> kept_;  // asked for
  uint64_t uses_ = 0;

  std::mutex mutex_;
  std::condition_variable came_;
  Shared shared_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace switchyard::studio
