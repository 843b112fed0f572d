#ifndef UNET_INFER_RUNTIME_LOG_H
#define UNET_INFER_RUNTIME_LOG_H

#include <cstdio>
#include <string>

namespace unet {

// Keeps what MindSpore Lite writes to standard error, as long as it lives: its log is many lines even where all is
// well, and the program's own error is to be one. With GLOG_v of 0, 1 or 2 (warnings) in the environment the log stays on
// the screen.
class RuntimeLog {
 public:
  RuntimeLog();
  ~RuntimeLog();
  RuntimeLog(const RuntimeLog&) = delete;
  RuntimeLog& operator=(const RuntimeLog&) = delete;

  // The first error in the log, which is the cause of the others; empty if there is none.
  std::string first_error() const;

 private:
  std::FILE* kept_ = nullptr;
  int screen_ = -1;
};

}  // namespace unet

#endif
