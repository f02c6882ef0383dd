#include "io/png/text.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <string_view>

#include "io/error.h"
#include "io/png/codec.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

using namespace png_codec;

constexpr std::size_t kSignature = 8;
constexpr std::size_t kFrame = 12;  // of a chunk: its length, its type, and after its data the checksum

std::string from_latin1(std::string_view latin1) {
  std::string text;
  for (const char c : latin1) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text.push_back(c);
    } else {
      text.push_back(static_cast<char>(0xC0 | byte >> 6));
      text.push_back(static_cast<char>(0x80 | (byte & 0x3F)));
    }
  }
  return text;
}

struct Inflater {
  Inflater() {
    if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream stream{};
};

class TextReader {
 public:
  explicit TextReader(const std::string& file) : file_(file) {}

  void add(std::string_view type, std::string_view chunk) {
    chunk_ = chunk;
    if (entries.size() == kMaxTextEntries)
      fail("expected at most " + std::to_string(kMaxTextEntries) + " text entries, found more");
    keyword_.clear();
    const std::string_view keyword = take_until_nul();
    if (keyword.empty() || keyword.size() > 79)
      fail("damaged PNG: expected a keyword of 1 to 79 bytes, found " + std::to_string(keyword.size()));
    keyword_ = from_latin1(keyword);
    if (type == "tEXt") return add_entry(from_latin1(bounded(chunk_)));
    if (type == "zTXt") return add_entry(from_latin1(inflated(take_byte())));
    const unsigned char is_compressed = take_byte(), method = take_byte();
    take_until_nul();  // the language
    take_until_nul();  // the keyword in that language
    std::string text = is_compressed != 0 ? inflated(method) : std::string(bounded(chunk_));
    if (!is_utf8(text)) fail("expected UTF-8");
    add_entry(std::move(text));
  }

  TextEntries entries;

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(file_ + ": text entry " + quote(keyword_) + ": " + what);
  }

  std::string_view take_until_nul() {
    const std::size_t end = chunk_.find('\0');
    if (end == chunk_.npos) fail("damaged PNG: expected a NUL before its text, found none");
    const std::string_view taken = chunk_.substr(0, end);
    chunk_.remove_prefix(end + 1);
    return taken;
  }

  unsigned char take_byte() {
    if (chunk_.empty()) fail("damaged PNG: ends early");
    const char byte = chunk_.front();
    chunk_.remove_prefix(1);
    return static_cast<unsigned char>(byte);
  }

  void check_room(std::size_t size) const {
    if (size > left_)
      fail("expected at most " + std::to_string(kMaxText) + " bytes in all text entries, found more");
  }
  std::string_view bounded(std::string_view text) const {
    check_room(text.size());
    return text;
  }

  std::string inflated(unsigned char method) const {
    if (method != 0) fail("damaged PNG: expected compression method 0, found " + std::to_string(method));
    Inflater inflater;
    z_stream& stream = inflater.stream;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(chunk_.data()));
    stream.avail_in = static_cast<uInt>(chunk_.size());
    std::string text;
    std::array<char, 4096> block;
    int status = Z_OK;
    while (status == Z_OK) {
      stream.next_out = reinterpret_cast<Bytef*>(block.data());
      stream.avail_out = block.size();
      status = inflate(&stream, Z_NO_FLUSH);
      text.append(block.data(), block.size() - stream.avail_out);
      check_room(text.size());
    }
    if (status != Z_STREAM_END) fail("damaged PNG: its compressed text cannot be read");
    return text;
  }

  void add_entry(std::string text) {
    text.resize(std::min(text.size(), text.find('\0')));  // some programs store the end of their string
    check_room(keyword_.size() + text.size());
    left_ -= keyword_.size() + text.size();
    entries.emplace_back(keyword_, std::move(text));
  }

  const std::string& file_;
  std::string_view chunk_;  // what is left of it
  std::string keyword_;
  std::size_t left_ = kMaxText;
};

}  // namespace

TextEntries read_png_text(std::span<const std::byte> bytes, const std::string& file) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  TextReader reader(file);
  for (std::size_t at = kSignature; at + kFrame <= all.size();) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(all[at + i]);
    const std::string_view type = all.substr(at + 4, 4);
    if (type == "IEND") return std::move(reader.entries);
    if (length > all.size() - at - kFrame) break;
    if (type == "tEXt" || type == "zTXt" || type == "iTXt") reader.add(type, all.substr(at + 8, length));
    at += kFrame + length;
  }
  throw InputError(file + ": damaged PNG: ends early");
}

}  // namespace switchyard::io
