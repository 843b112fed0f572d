#ifndef UNET_INFER_SIDECAR_H
#define UNET_INFER_SIDECAR_H

#include <string>

#include "arguments.h"

namespace unet {

// What the file MODEL.json beside the model says about its input; export.py and onnx_to_mindir.sh write it.
struct Sidecar {
  std::string path;
  std::string input_range;  // "[-1,1]"; empty if the file is not there or does not say
  std::string normalize;    // "range"; likewise
  std::string channels;     // "[2,1,0]", bands of the files; likewise
  std::string input;        // "[572,572]", or "native"; likewise
  std::string content;      // "[388,388]", the part of the input that is the resized image; likewise
  std::string scale;        // "0.5", by which the training resized images; likewise
};

// Throws InputError for a file that cannot be read, or is no JSON object.
Sidecar read_sidecar(const std::string& mindir_path);

// Returns the lower end of the range to which pictures are scaled. Throws InputError if the arguments contradict the
// sidecar, or if the network takes pictures that are normalized in another way, which this program cannot do.
float lowest_input(const Arguments& arguments, const Sidecar& sidecar, bool with_pictures);

// Whether pictures must have the size of the model's input, since resizing would change how large objects are: the
// network was trained on images in their own sizes, or the model has another size than the images in training.
bool keeps_sizes(const Sidecar& sidecar);

}  // namespace unet

#endif
