#ifndef UNET_INFER_RUNTIME_LOG_H
#define UNET_INFER_RUNTIME_LOG_H

#include <cstdio>
#include <string>

namespace unet {

// While this object exists, what MindSpore Lite writes to standard error goes to a temporary file: it logs many lines
// even without an error, and the program's own error is to be a single line. With GLOG_v=0, 1 or 2 in the environment
// the log stays on the screen. If the program crashes in it, an error says so, and what was logged last.
class RuntimeLog {
 public:
  RuntimeLog();
  ~RuntimeLog();
  RuntimeLog(const RuntimeLog&) = delete;
  RuntimeLog& operator=(const RuntimeLog&) = delete;

  // Returns the first error in the log, which is the cause of the others; empty if there is none.
  std::string first_error() const;

 private:
  std::FILE* kept_ = nullptr;
  int screen_ = -1;
};

}  // namespace unet

#endif
