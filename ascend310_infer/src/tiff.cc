#include "tiff.h"

#include <string>

#include "error.h"
#include "files.h"

namespace fs = std::filesystem;

namespace unet {
namespace {

constexpr size_t kMostPages = 100000;  // a chain of headers may lead in a circle

// The numbers of a file in its own byte order.
class Numbers {
 public:
  Numbers(const fs::path& path, const std::vector<char>& file) : path_(path), file_(file) {
    if (file_.size() < 8 || !((file_[0] == 'I' && file_[1] == 'I') || (file_[0] == 'M' && file_[1] == 'M'))) fail();
    little_ = file_[0] == 'I';
  }

  uint64_t at(uint64_t offset, size_t bytes) const {
    if (offset > file_.size() || file_.size() - offset < bytes) fail();
    uint64_t value = 0;
    for (size_t index = 0; index < bytes; ++index) {
      const size_t place = static_cast<size_t>(offset) + (little_ ? bytes - 1 - index : index);
      value = value << 8 | static_cast<unsigned char>(file_[place]);
    }
    return value;
  }

  [[noreturn]] void fail() const {
    throw InputError(path_.string() + ": cannot be read as a TIFF file, damaged or truncated");
  }

 private:
  const fs::path& path_;
  const std::vector<char>& file_;
  bool little_ = true;
};

}  // namespace

std::vector<uint64_t> find_tiff_pages(const fs::path& path, const std::vector<char>& file) {
  const Numbers numbers(path, file);
  const uint64_t version = numbers.at(2, 2);
  if (version != 42 && version != 43) numbers.fail();
  const bool is_big = version == 43;
  const size_t count_bytes = is_big ? 8 : 2;
  const size_t entry_bytes = is_big ? 20 : 12;
  const size_t offset_bytes = is_big ? 8 : 4;
  std::vector<uint64_t> pages;
  uint64_t header = numbers.at(offset_bytes, offset_bytes);
  while (header != 0) {
    const uint64_t entries = numbers.at(header, count_bytes);
    if (entries == 0 || entries > file.size() / entry_bytes) numbers.fail();
    if (pages.size() == kMostPages) {
      throw InputError(path.string() + ": more than " + std::to_string(kMostPages) + " pages");
    }
    pages.push_back(header);
    header = numbers.at(header + count_bytes + entries * entry_bytes, offset_bytes);
  }
  if (pages.empty()) numbers.fail();
  return pages;
}

void put_first(uint64_t header, std::vector<char>* file) {
  const bool is_little = (*file)[0] == 'I';
  const size_t bytes = (*file)[is_little ? 2 : 3] == 43 ? 8 : 4;  // a BigTIFF, or not
  for (size_t index = 0; index < bytes; ++index) {
    (*file)[bytes + (is_little ? index : bytes - 1 - index)] = static_cast<char>(header >> 8 * index);
  }
}

}  // namespace unet
