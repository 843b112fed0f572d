#include "runtime_log.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
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

// For the handler of signals, which has no other way to them.
volatile int crash_log = -1;
volatile int crash_screen = STDERR_FILENO;
constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
char crash_stack[1 << 16];  // a crash may have used up the stack

// Writes to the screen; all that a handler of signals may do.
void write_screen(const char* text, size_t length) {
  while (length > 0) {
    const ssize_t count = ::write(crash_screen, text, length);
    if (count <= 0) return;
    text += count;
    length -= static_cast<size_t>(count);
  }
}

// Writes the last line of the log without bytes that would be commands to the terminal.
void write_last_line() {
  static char buffer[2048];
  const off_t size = ::lseek(crash_log, 0, SEEK_END);
  const off_t start = size > static_cast<off_t>(sizeof buffer) ? size - static_cast<off_t>(sizeof buffer) : 0;
  ssize_t end = size > 0 ? ::pread(crash_log, buffer, sizeof buffer, start) : 0;
  while (end > 0 && (buffer[end - 1] == '\n' || buffer[end - 1] == ' ')) --end;
  if (end <= 0) return;
  ssize_t first = end;
  while (first > 0 && buffer[first - 1] != '\n') --first;
  std::replace_if(buffer + first, buffer + end, [](char letter) { return letter < ' ' || letter > '~'; }, '?');
  constexpr char kLast[] = "; it last logged: ";
  write_screen(kLast, sizeof kLast - 1);
  write_screen(buffer + first, static_cast<size_t>(end - first));
}

void on_crash(int number) {
  constexpr char kCrashed[] = "error: the program crashed in MindSpore Lite (signal ";
  const char digits[] = {static_cast<char>('0' + number / 10), static_cast<char>('0' + number % 10), ')'};
  write_screen(kCrashed, sizeof kCrashed - 1);
  write_screen(number < 10 ? digits + 1 : digits, number < 10 ? 2 : 3);
  if (crash_log >= 0) write_last_line();
  write_screen("\n", 1);
  ::raise(number);  // SA_RESETHAND: ends the program as if there were no handler
}

void handle_crashes(void (*handler)(int)) {
  stack_t stack = {};
  stack.ss_sp = crash_stack;
  stack.ss_size = sizeof crash_stack;
  ::sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_ONSTACK;
  for (const int number : kCrashes) ::sigaction(number, &action, nullptr);
}

}  // namespace

RuntimeLog::RuntimeLog() {
  handle_crashes(on_crash);
  const char* level = std::getenv("GLOG_v");
  if (level != nullptr && level[0] >= '0' && level[0] <= '2') return;
  kept_ = std::tmpfile();
  if (kept_ == nullptr) return;  // no temporary file: the log stays on the screen
  screen_ = ::dup(STDERR_FILENO);
  if (screen_ < 0) return;
  ::dup2(::fileno(kept_), STDERR_FILENO);
  crash_screen = screen_;
  crash_log = ::fileno(kept_);
}

RuntimeLog::~RuntimeLog() {
  handle_crashes(SIG_DFL);
  crash_log = -1;
  crash_screen = STDERR_FILENO;
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
