#include "tiff.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "error.h"
#include "files.h"

namespace fs = std::filesystem;

namespace unet {
namespace {

constexpr size_t kMostPages = 100000;  // a chain of headers may lead in a circle
constexpr uint64_t kMostTags = 4096;   // of a page, as in tifffile
constexpr uint64_t kMostValues = 5;    // of a tag are read; pages of so many bands are refused

enum Tag : uint64_t {
  kSubfile = 254,
  kBits = 258,
  kCompression = 259,
  kPhotometric = 262,
  kOrientation = 274,
  kSamples = 277,
  kTileWidth = 322,
  kExtraSamples = 338,
  kFormat = 339,
  kDepth = 32997
};

using Tags = std::map<uint64_t, std::vector<uint64_t>>;

// The tags that say how pixels are stored, and what holds without them.
const Tags kDefaults = {{kSubfile, {0}}, {kBits, {1}},      {kCompression, {1}},  {kPhotometric, {1}}, {kOrientation, {1}},
                        {kSamples, {1}}, {kTileWidth, {0}}, {kExtraSamples, {0}}, {kFormat, {1}},      {kDepth, {1}}};

// Those that libtiff decodes, or refuses where it was built without them. Of any other one OpenCV gives black pixels.
const std::set<uint64_t> kCompressions = {1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34887, 34925, 50000, 50001};
constexpr uint64_t kJpeg = 7;
constexpr uint64_t kRgb = 2, kPalette = 3, kYcbcr = 6;  // photometric; below them are two kinds of gray
constexpr uint64_t kAlphaInColours = 1;

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

// Reads the values of the tag whose entry begins at `entry`, and returns where they are.
uint64_t read_values(const Numbers& numbers, uint64_t entry, size_t offset_bytes, std::vector<uint64_t>* values) {
  const uint64_t type = numbers.at(entry + 2, 2);
  const size_t bytes = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 8;
  const uint64_t count = numbers.at(entry + 4, offset_bytes);
  uint64_t place = entry + 4 + offset_bytes;
  if (count == 0) numbers.fail();
  if (count > offset_bytes / bytes) place = numbers.at(place, offset_bytes);  // they do not fit into the entry
  values->clear();
  for (uint64_t index = 0; index < std::min(count, kMostValues); ++index) {
    values->push_back(numbers.at(place + index * bytes, bytes));
  }
  return place;
}

void write_number(std::vector<char>* file, uint64_t offset, size_t bytes, uint64_t value) {
  const bool is_little = (*file)[0] == 'I';
  for (size_t index = 0; index < bytes; ++index) {
    (*file)[offset + (is_little ? index : bytes - 1 - index)] = static_cast<char>(value >> 8 * index);
  }
}

// Says what of a page OpenCV does not decode, or not as src/data/ does; "" if there is nothing.
std::string what_is_not_read(const Tags& tags) {
  const auto first = [&tags](Tag tag) { return tags.at(tag).front(); };
  const auto all_are = [&tags](Tag tag, uint64_t value) {
    const auto& values = tags.at(tag);
    return std::all_of(values.begin(), values.end(), [value](uint64_t one) { return one == value; });
  };
  const uint64_t compression = first(kCompression), photometric = first(kPhotometric), samples = first(kSamples);
  const bool is_colour = photometric == kRgb || photometric == kYcbcr;
  if (first(kSubfile) & 5) return "smaller copies of its images, or masks of them";
  if (first(kDepth) > 1) return "several images in one page";
  if (kCompressions.count(compression) == 0) return "compression number " + std::to_string(compression);
  if (photometric > kPalette && !(photometric == kYcbcr && compression == kJpeg)) {
    return "photometric interpretation number " + std::to_string(photometric);
  }
  if (!all_are(kFormat, 1)) return "signed or floating-point numbers";
  if (!all_are(kBits, 8) && !(photometric < kRgb && all_are(kBits, 1))) {
    return "numbers of " + std::to_string(first(kBits)) + " bits";
  }
  if (samples != (is_colour ? 3 : 1) && !(samples == 4 && photometric == kRgb)) {
    return std::to_string(samples) + (is_colour ? " bands in colour" : " bands of gray");
  }
  if (first(kTileWidth) != 0 && first(kOrientation) != 1) return "tiles, and an orientation";
  return "";
}

}  // namespace

std::vector<TiffPage> find_tiff_pages(const fs::path& path, const std::vector<char>& file) {
  const Numbers numbers(path, file);
  const uint64_t version = numbers.at(2, 2);
  if (version != 42 && version != 43) numbers.fail();
  const bool is_big = version == 43;
  const size_t count_bytes = is_big ? 8 : 2;
  const size_t entry_bytes = is_big ? 20 : 12;
  const size_t offset_bytes = is_big ? 8 : 4;
  std::vector<TiffPage> pages;
  uint64_t header = numbers.at(offset_bytes, offset_bytes);
  while (header != 0) {
    const uint64_t entries = numbers.at(header, count_bytes);
    if (entries == 0 || entries > kMostTags) numbers.fail();
    if (pages.size() == kMostPages) {
      throw InputError(path.string() + ": more than " + std::to_string(kMostPages) + " pages");
    }
    TiffPage page{header, 0};
    Tags tags = kDefaults;
    header += count_bytes;
    for (uint64_t index = 0; index < entries; ++index, header += entry_bytes) {
      const auto tag = tags.find(numbers.at(header, 2));
      if (tag == tags.end()) continue;
      const uint64_t place = read_values(numbers, header, offset_bytes, &tag->second);
      if (tag->first == kExtraSamples) page.alpha = place;
    }
    if (const std::string what = what_is_not_read(tags); !what.empty()) {
      throw InputError(path.string() + (pages.empty() ? "" : ", page " + std::to_string(pages.size()) + " from 0") +
                       ": TIFF with " + what + ", which this program does not read; make .bin files (preprocess.py " +
                       "--result_format=bin)");
    }
    pages.push_back(page);
    header = numbers.at(header, offset_bytes);
  }
  if (pages.empty()) numbers.fail();
  return pages;
}

void put_first(const TiffPage& page, std::vector<char>* file) {
  const size_t bytes = (*file)[(*file)[0] == 'I' ? 2 : 3] == 43 ? 8 : 4;  // a BigTIFF, or not
  write_number(file, bytes, bytes, page.header);
  if (page.alpha != 0) write_number(file, page.alpha, 2, kAlphaInColours);
}

}  // namespace unet
