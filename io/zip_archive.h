// Zip archives, stored or deflated, as anybody may have written them: their entries and what they hold.
// (stored_zip.h is for those whose bytes are used where they lie.) Source: libzip.
#pragma once

#include <zip.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace switchyard::io {

// Lists the entries. Hostile archives cost memory in proportion to their own size: entries cannot overlap, nor
// claim more than deflate can pack. Reading entries from several threads is safe, one at a time.
// InputError names file, entry and fault.
class ZipArchive {
 public:
  // `bytes` must outlive it; `file` names the archive in messages.
  ZipArchive(std::span<const std::byte> bytes, std::string file);

  std::uint64_t size() const { return names_.size(); }
  const std::string& name(std::uint64_t index) const { return names_.at(index); }

  // One entry being read, front to back; whoever else reads waits until it is gone.
  class Entry {
   public:
    std::uint64_t size() const { return size_; }  // of what it holds
    void read(void* out, std::uint64_t size);     // exactly so much
    void finish();                                // after the last byte: compares the checksum

   private:
    friend class ZipArchive;
    struct Closer {
      void operator()(zip_file_t* file) const { zip_fclose(file); }
    };
    std::string where_;  // for messages
    std::unique_lock<std::mutex> lock_;
    std::unique_ptr<zip_file_t, Closer> file_;
    std::uint64_t size_ = 0;
  };
  // `where` names the entry in messages.
  Entry open(std::uint64_t index, const std::string& where) const;

  // All that the entry holds. `most`: larger ones are refused.
  std::vector<std::byte> read(std::uint64_t index, std::uint64_t most) const;

 private:
  struct Closer {
    void operator()(zip_t* archive) const { zip_discard(archive); }
  };
  std::string file_;
  std::unique_ptr<zip_t, Closer> archive_;
  std::vector<std::string> names_;
  mutable std::mutex mutex_;
};

}  // namespace switchyard::io
