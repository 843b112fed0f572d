#ifndef UNET_INFER_ERROR_H
#define UNET_INFER_ERROR_H

#include <stdexcept>

namespace unet {

// Wrong input that the user can correct: an option, a file, a folder. Ends the program with status 2.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The runtime refused to load or to run the model. Ends the program with status 1.
class RuntimeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace unet

#endif
