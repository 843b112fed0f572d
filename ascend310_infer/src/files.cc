#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <system_error>

#include "error.h"
#include "image.h"

namespace fs = std::filesystem;

namespace unet {
namespace {

constexpr size_t kMostEndings = 5;  // in a message
constexpr std::uintmax_t kMostBytes = (1ull << 31) - 1;  // of a picture or a sidecar; OpenCV counts no further

bool is_digit(char letter) { return std::isdigit(static_cast<unsigned char>(letter)) != 0; }

// Returns the number at `position` as text without leading zeros, and moves `position` after it.
std::string take_number(const std::string& text, size_t* position) {
  size_t end = *position;
  while (end < text.size() && is_digit(text[end])) ++end;
  const size_t start = std::min(text.find_first_not_of('0', *position), end);
  *position = end;
  return text.substr(start, end - start);
}

[[noreturn]] void fail(const std::string& action, const fs::path& path) {
  const int code = errno;
  throw InputError("cannot " + action + " " + path.string() + ": " + std::strerror(code));
}

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, mode_t mode = 0) : number_(::open(path.c_str(), flags, mode)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  bool close() {  // some file systems report only here that the disk is full
    const int number = number_;
    number_ = -1;
    return ::close(number) == 0;
  }

 private:
  int number_;
};

// A name for a file of this process: 16 random hexadecimal digits.
std::string random_name() {
  std::random_device random;
  std::string name;
  while (name.size() < 16) name += "0123456789abcdef"[random() % 16];
  return name;
}

// A file that is removed at the end unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(fs::path path) : path_(std::move(path)) {}
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const fs::path& path() const { return path_; }
  void rename_to(const fs::path& target) {
    if (::rename(path_.c_str(), target.c_str()) != 0) fail("write", target);
    path_.clear();
  }

 private:
  fs::path path_;
};

// Reads up to `bytes` bytes, fewer at the end of the file, and returns how many.
size_t read_up_to(const Descriptor& file, const fs::path& path, char* destination, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t count = ::read(file.get(), destination + done, bytes - done);
    if (count == 0) break;
    if (count < 0 && errno != EINTR) fail("read", path);
    if (count > 0) done += static_cast<size_t>(count);
  }
  return done;
}

}  // namespace

std::string ending(const fs::path& path) {
  std::string text = path.extension().string();
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char letter) { return std::tolower(letter); });
  return text;
}

bool numeric_less(const std::string& left, const std::string& right) {
  size_t i = 0;
  size_t j = 0;
  while (i < left.size() && j < right.size()) {
    if (is_digit(left[i]) && is_digit(right[j])) {
      const std::string one = take_number(left, &i);
      const std::string other = take_number(right, &j);
      if (one != other) return one.size() != other.size() ? one.size() < other.size() : one < other;
    } else if (left[i] != right[j]) {
      return left[i] < right[j];
    } else {
      ++i;
      ++j;
    }
  }
  const bool left_ends = i == left.size();
  const bool right_ends = j == right.size();
  return left_ends && right_ends ? left < right : left_ends && !right_ends;  // "01" and "1" differ
}

std::string Input::result_name() const {
  return path.stem().string() + (pages > 1 ? "_" + std::to_string(page) : "") + "_0.bin";
}

std::vector<Input> list_inputs(const fs::path& folder, bool with_images) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw InputError("no such folder of inputs: " + folder.string());
  }
  std::vector<fs::path> files;
  size_t images = 0;
  std::set<std::string> others;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    std::error_code unreadable;
    if (path.filename().string()[0] == '.' || !fs::is_regular_file(path, unreadable)) continue;
    images += is_image(path);
    if (ending(path) == ".bin" || (with_images && is_image(path))) {
      files.push_back(path);
    } else if (others.size() < kMostEndings) {
      others.insert(path.has_extension() ? ending(path) : "none");
    }
  }
  if (error) {
    throw InputError("cannot read " + folder.string() + ": " + error.message());
  }
  if (files.empty()) {
    std::string found;
    for (const std::string& other : others) found += (found.empty() ? ", only files with other endings: " : ", ") + other;
    if (images > 0) found = ", but " + std::to_string(images) + " pictures; --need_preprocess=y takes those";
    throw InputError(folder.string() + ": no .bin" + (with_images ? ", .png, .tif or .tiff" : "") + " file in it" + found +
                     "; preprocess.py writes .bin files (for image folders with --result_format=bin)");
  }
  std::sort(files.begin(), files.end(), [](const fs::path& left, const fs::path& right) {
    return numeric_less(left.filename().string(), right.filename().string());
  });
  std::vector<Input> inputs;
  std::set<std::string> names;
  for (const fs::path& path : files) {
    const size_t pages = is_image(path) ? count_pages(path) : 1;
    for (size_t page = 0; page < pages; ++page) {
      inputs.push_back({path, page, pages});
      const std::string name = inputs.back().result_name();
      if (!names.insert(name).second) {
        throw InputError(path.string() + ": there is an input of the same name with another ending, and both would give " +
                         name + "; remove one of them");
      }
    }
  }
  return inputs;
}

void check_sizes(const std::vector<Input>& inputs, size_t bytes, const std::string& what) {
  for (const Input& input : inputs) {
    const fs::path& path = input.path;
    if (is_image(path)) continue;
    std::error_code error;
    const auto found = fs::file_size(path, error);
    if (error) throw InputError("cannot read " + path.string() + ": " + error.message());
    if (found != bytes) {
      throw InputError(path.string() + ": " + std::to_string(found) + " bytes found, expected " +
                       std::to_string(bytes) + ": " + what);
    }
  }
}

void check_mindir(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) throw InputError("no such MindIR file: " + path.string());
  const Descriptor file(path, O_RDONLY | O_CLOEXEC);
  if (file.get() < 0) fail("read", path);
  char start[18] = {};
  const size_t count = read_up_to(file, path, start, sizeof start);
  // Both formats are protocol buffers. Field 1 of MindIR is its version, a text like "0.1.1"; in ONNX it is a number.
  const size_t length = static_cast<unsigned char>(start[1]);
  const bool is_mindir = count > 2 && start[0] == 0x0a && length >= 1 && length + 2 <= count &&
                         std::all_of(start + 2, start + 2 + length,
                                     [](char letter) { return is_digit(letter) || letter == '.'; });
  if (!is_mindir) {
    const bool is_onnx = count > 1 && start[0] == 0x08;
    throw InputError(path.string() + ": not a MindIR file" +
                     (is_onnx ? ", but perhaps ONNX; scripts/onnx_to_mindir.sh converts it to MindIR" : ""));
  }
}

void read_file(const fs::path& path, char* destination, size_t bytes) {
  const Descriptor file(path, O_RDONLY | O_CLOEXEC);
  if (file.get() < 0) fail("read", path);
  char more = 0;
  const size_t found = read_up_to(file, path, destination, bytes);
  if (found != bytes || read_up_to(file, path, &more, 1) != 0) {
    throw InputError(path.string() + ": changed while it was being read");
  }
}

std::vector<char> read_whole_file(const fs::path& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error) throw InputError("cannot read " + path.string() + ": " + error.message());
  if (bytes > kMostBytes) {
    throw InputError(path.string() + ": " + std::to_string(bytes) + " bytes; at most " + std::to_string(kMostBytes) +
                     " are read");
  }
  std::vector<char> content(bytes);
  read_file(path, content.data(), content.size());
  return content;
}

void make_folder(const fs::path& folder) {
  // In a shared folder others could plant a link, through which this user's own files would be replaced.
  struct stat found {};
  if (::lstat(folder.c_str(), &found) == 0 && S_ISLNK(found.st_mode) && found.st_uid != ::getuid() &&
      found.st_uid != 0) {
    throw InputError(folder.string() + ": a link of user " + std::to_string(found.st_uid) +
                     ", through which nothing is written; remove it");
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder, error)) {
    throw InputError("cannot make the folder " + folder.string() +
                     (error ? ": " + error.message() : ": a file is in its place"));
  }
}

void write_file(const fs::path& path, const char* data, size_t bytes) {
  // Nobody can guess the name, and O_EXCL follows no link: in a shared folder others could plant one in its place.
  TemporaryFile temporary(path.parent_path() / ("." + path.stem().string().substr(0, 40) + ".unet-" + random_name() +
                                                path.extension().string()));
  Descriptor file(temporary.path(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (file.get() < 0) fail("write", path);
  for (size_t done = 0; done < bytes;) {
    const ssize_t count = ::write(file.get(), data + done, bytes - done);
    if (count < 0 && errno != EINTR) fail("write", path);
    if (count > 0) done += static_cast<size_t>(count);
  }
  if (::fsync(file.get()) != 0 || !file.close()) fail("write", path);
  temporary.rename_to(path);
}

}  // namespace unet
