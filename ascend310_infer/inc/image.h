#ifndef UNET_INFER_IMAGE_H
#define UNET_INFER_IMAGE_H

#include <cstddef>
#include <filesystem>
#include <memory>

#include "files.h"

namespace unet {

// Size of the network's input for one image, and the lower end of its range of values; the upper end is 1.
struct ImageShape {
  size_t channels = 0;
  size_t height = 0;
  size_t width = 0;
  float lowest = -1;
  bool native = false;  // the network was trained on images in their own sizes, and a picture must have this size
};

// Whether the name is that of a picture, PNG or TIFF, and not that of a .bin file.
bool is_image(const std::filesystem::path& path);

// Returns the number of pages of a picture. Throws InputError for a damaged TIFF file.
size_t count_pages(const std::filesystem::path& path);

// Reads pictures of 8 bits. It keeps the last file, whose pages are asked for one after another.
class ImageReader {
 public:
  ImageReader();
  ~ImageReader();

  // Reads a picture as the network's input, (C, H, W): resized bilinearly unless the network is native, with the channels
  // in the order blue, green, red (or gray for one channel), scaled to the range. Throws InputError, also if the program
  // was built without OpenCV.
  void read(const Input& input, const ImageShape& shape, float* destination);

 private:
  struct Last;
  std::unique_ptr<Last> last_;
};

}  // namespace unet

#endif
