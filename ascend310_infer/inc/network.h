#ifndef UNET_INFER_NETWORK_H
#define UNET_INFER_NETWORK_H

#include <cstddef>
#include <string>
#include <vector>

#include "arguments.h"
#include "image.h"
#include "include/api/model.h"

namespace unet {

// A model on its device. It has one input, (N, C, H, W) float32, and one output, (N, ...) float32 or int32.
class Network {
 public:
  // Throws InputError or RuntimeError if the model cannot be loaded or has other inputs or outputs.
  // ``lowest_input`` and ``is_native`` are for pictures, see ``ImageShape``.
  Network(const Arguments& arguments, float lowest_input, bool is_native);

  size_t batch_size() const { return batch_size_; }
  size_t image_bytes() const { return image_bytes_; }
  const ImageShape& image_shape() const { return image_shape_; }
  size_t input_bytes() const { return batch_size_ * image_bytes_; }
  // "float32 (1, 1, 572, 572)"
  const std::string& input_text() const { return input_text_; }

  // Takes one batch of input_bytes() bytes and returns the bytes of the output. Throws RuntimeError.
  std::vector<char> predict(const std::vector<char>& images);

 private:
  std::string path_;
  mindspore::Model model_;
  std::vector<mindspore::MSTensor> inputs_;
  size_t batch_size_ = 0;
  size_t image_bytes_ = 0;
  ImageShape image_shape_;
  std::string input_text_;
};

}  // namespace unet

#endif
