#include "runtime_log.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace unet {
namespace {

// "[ERROR] ME(...):time [file:line] Function] message" -> "message"
std::string message_of(const std::string& line) {
  size_t position = 0;
  for (int part = 0; part < 3; ++part) {
    const size_t end = line.find("] ", position);
    if (end == std::string::npos) return line.substr(position);
    position = end + 2;
  }
  return line.substr(position);
}

}  // namespace

RuntimeLog::RuntimeLog() {
  const char* level = std::getenv("GLOG_v");
  if (level != nullptr && level[0] >= '0' && level[0] <= '2') return;
  kept_ = std::tmpfile();
  if (kept_ == nullptr) return;  // no temporary file: the log stays on the screen
  screen_ = ::dup(STDERR_FILENO);
  if (screen_ >= 0) ::dup2(::fileno(kept_), STDERR_FILENO);
}

RuntimeLog::~RuntimeLog() {
  if (screen_ >= 0) {
    std::fflush(stderr);
    ::dup2(screen_, STDERR_FILENO);
    ::close(screen_);
  }
  if (kept_ != nullptr) std::fclose(kept_);
}

std::string RuntimeLog::first_error() const {
  if (kept_ == nullptr) return "";
  std::fflush(stderr);
  std::rewind(kept_);
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, kept_) != nullptr) {
    std::string line(buffer);
    // A missing library is only a warning in the log, and the errors after it do not name the library. An exception is
    // logged twice, first without its text.
    const bool is_error = line.rfind("[ERROR]", 0) == 0 && line.find("null exception handler") == std::string::npos;
    if (is_error || line.find("] dlopen ") != std::string::npos) {
      std::string message = message_of(line);
      while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
      // Names from a damaged file can hold any bytes.
      std::replace_if(message.begin(), message.end(), [](char letter) { return letter < ' ' || letter > '~'; }, '?');
      return message;
    }
  }
  return "";
}

}  // namespace unet
