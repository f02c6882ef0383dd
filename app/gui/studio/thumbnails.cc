#include "app/gui/studio/thumbnails.h"

#include <ATen/ATen.h>
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#define STB_IMAGE_RESIZE_STATIC
#include <stb/stb_image_resize.h>

#include <algorithm>
#include <utility>

#include "app/gui/studio/colors.h"
#include "app/gui/studio/reason.h"
#include "io/png.h"

namespace switchyard::studio {
namespace {

namespace fs = std::filesystem;

constexpr size_t kKept = 1000, kMostFiles = 100'000;

at::Tensor made_smaller(const at::Tensor& image) {
  const auto height = image.size(0), width = image.size(1), longer = std::max(height, width);
  if (longer <= Thumbnails::kSide) return image;
  const auto scaled = [&](int64_t side) { return std::max<int64_t>(1, side * Thumbnails::kSide / longer); };
  auto small = at::empty({scaled(height), scaled(width), 3}, at::kByte);
  if (!stbir_resize_uint8_srgb(image.const_data_ptr<uint8_t>(), static_cast<int>(width),
                               static_cast<int>(height), 0, small.mutable_data_ptr<uint8_t>(),
                               static_cast<int>(small.size(1)), static_cast<int>(small.size(0)), 0, 3,
                               STBIR_ALPHA_CHANNEL_NONE, 0)) {
    throw std::bad_alloc();
  }
  return small;
}

Thumbnails::Picture picture_of(const fs::path& file) {
  try {
    return {image_rgba(made_smaller(io::read_png(file).pixels)), {}};
  } catch (...) {
    return {{}, reason()};
  }
}

}  // namespace

Thumbnails::Thumbnails(fs::path folder, std::function<void()> wake)
    : folder_(std::move(folder)), wake_(std::move(wake)), thread_([this] { work(); }) {}

Thumbnails::~Thumbnails() {
  {
    const std::lock_guard lock(mutex_);
    shared_.closing = true;
  }
  came_.notify_one();
  thread_.join();
}

bool Thumbnails::poll() {
  decltype(Shared::made) made;
  bool listed_now = false;
  {
    const std::lock_guard lock(mutex_);
    made = std::exchange(shared_.made, {});
    if (shared_.listed && !listed_) {
      listed_ = listed_now = true;
      files_ = shared_.files, problem_ = shared_.problem;
    }
  }
  for (auto& [file, picture] : made)
    if (const auto kept = kept_.find(file); kept != kept_.end()) kept->second.picture = std::move(picture);
  return listed_now || !made.empty();
}

const Thumbnails::Picture& Thumbnails::of(size_t file) {
  auto [kept, first] = kept_.try_emplace(file);
  kept->second.used = ++uses_;
  if (!first) return kept->second.picture;
  if (kept_.size() > kKept) {  // half of them, so that it happens rarely
    std::vector<uint64_t> uses;
    for (const auto& entry : kept_) uses.push_back(entry.second.used);
    std::ranges::nth_element(uses, uses.begin() + kKept / 2);
    std::erase_if(kept_, [limit = uses[kKept / 2]](const auto& entry) { return entry.second.used < limit; });
  }
  {
    const std::lock_guard lock(mutex_);
    // What was scrolled past long ago is asked for again when it comes back into sight.
    auto& wanted = shared_.wanted;
    if (wanted.size() >= kKept / 4) {
      if (wanted.front() != file) kept_.erase(wanted.front());  // its first wish may be the oldest
      wanted.erase(wanted.begin());
    }
    wanted.push_back(file);
  }
  came_.notify_one();
  return kept_.at(file).picture;
}

void Thumbnails::list() {
  std::vector<std::pair<fs::file_time_type, fs::path>> found;
  std::string problem;
  try {
    for (const auto& entry : fs::directory_iterator(folder_)) {
      std::error_code error;
      if (entry.path().extension() != ".png" || !entry.is_regular_file(error)) continue;
      const auto time = entry.last_write_time(error);
      found.emplace_back(time, entry.path());
      if (found.size() == kMostFiles) break;
    }
    std::ranges::sort(found, [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
  } catch (...) {
    problem = reason();
  }
  const std::lock_guard lock(mutex_);
  for (auto& entry : found) shared_.files.push_back(std::move(entry.second));
  shared_.problem = std::move(problem);
  shared_.listed = true;
}

void Thumbnails::work() {
  list();
  if (wake_) wake_();
  while (true) {
    size_t file;
    fs::path path;
    {
      std::unique_lock lock(mutex_);
      came_.wait(lock, [this] { return shared_.closing || !shared_.wanted.empty(); });
      if (shared_.closing) return;
      file = shared_.wanted.back();
      shared_.wanted.pop_back();
      path = shared_.files.at(file);
    }
    auto picture = picture_of(path);
    bool first;
    {
      const std::lock_guard lock(mutex_);
      first = shared_.made.empty();
      shared_.made.emplace_back(file, std::move(picture));
    }
    if (first && wake_) wake_();
  }
}

}  // namespace switchyard::studio
