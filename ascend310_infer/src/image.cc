#include "image.h"

#include <algorithm>
#include <string>
#include <vector>

#include "error.h"
#include "files.h"
#include "tiff.h"

#ifdef UNET_WITH_OPENCV
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#endif

namespace fs = std::filesystem;

namespace unet {
namespace {

bool is_tiff(const fs::path& path) { return ending(path) == ".tif" || ending(path) == ".tiff"; }

}  // namespace

bool is_image(const fs::path& path) { return ending(path) == ".png" || is_tiff(path); }

size_t count_pages(const fs::path& path) {
  return is_tiff(path) ? find_tiff_pages(path, read_whole_file(path)).size() : 1;
}

#ifdef UNET_WITH_OPENCV

struct ImageReader::Last {
  fs::path path;
  std::vector<char> bytes;
  std::vector<TiffPage> pages;
};

ImageReader::ImageReader() : last_(std::make_unique<Last>()) {}

void ImageReader::read(const Input& input, const ImageShape& shape, float* destination) {
  const fs::path& path = input.path;
  if (shape.channels != 1 && shape.channels != 3) {
    throw InputError(path.string() + ": the model takes images of " + std::to_string(shape.channels) +
                     " channels, a picture has 1 or 3; make .bin files (preprocess.py --result_format=bin)");
  }
  std::vector<char>& file = last_->bytes;
  if (last_->path != path) {
    *last_ = {path, read_whole_file(path), {}};
    if (is_tiff(path)) last_->pages = find_tiff_pages(path, file);
  }
  if (is_tiff(path)) {
    if (input.page >= last_->pages.size()) throw InputError(path.string() + ": changed while it was being read");
    put_first(last_->pages[input.page], &file);  // OpenCV decodes the first page only
  }
  // OpenCV takes whatever its decoders know, by the first bytes, whatever the name is.
  static const char kPng[] = {'\x89', 'P', 'N', 'G', '\r', '\n', '\x1a', '\n'};
  if (!is_tiff(path) && (file.size() < sizeof kPng || !std::equal(kPng, kPng + sizeof kPng, file.begin()))) {
    throw InputError(path.string() + ": no PNG file; save it as PNG or TIFF");
  }
  cv::Mat page;
  try {
    // From memory: OpenCV and MindSpore Lite may be built with different types of std::string.
    page = cv::imdecode(cv::Mat(1, static_cast<int>(file.size()), CV_8UC1, file.data()),
                        (shape.channels == 1 ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR) | cv::IMREAD_ANYDEPTH);
  } catch (const cv::Exception&) {  // an empty file
  }
  if (page.empty()) {
    throw InputError(path.string() + (input.pages > 1 ? ", page " + std::to_string(input.page) + " from 0" : "") +
                     ": cannot be read as an image, damaged or truncated" +
                     (is_tiff(path) ? "; or OpenCV lacks its compression, or does not take the size of its tiles: make "
                                      ".bin files (preprocess.py --result_format=bin)" : ""));
  }
  if (page.depth() != CV_8U) {
    throw InputError(path.string() + ": its numbers do not have 8 bits, and this program knows no normalization of " +
                     "others; make .bin files (preprocess.py --result_format=bin)");
  }
  if (shape.native && (page.rows != static_cast<int>(shape.height) || page.cols != static_cast<int>(shape.width))) {
    throw InputError(path.string() + ": " + std::to_string(page.rows) + "x" + std::to_string(page.cols) +
                     " (height x width), and the model takes " + std::to_string(shape.height) + "x" +
                     std::to_string(shape.width) + "; it was trained on images that are not resized: export it with " +
                     "--height=" + std::to_string(page.rows) + " --width=" + std::to_string(page.cols) +
                     ", or use predict.py, which cuts windows");
  }
  cv::Mat image;
  cv::resize(page, image, cv::Size(static_cast<int>(shape.width), static_cast<int>(shape.height)), 0, 0,
             cv::INTER_LINEAR);
  const float scale = 255 / (1 - shape.lowest);
  for (size_t channel = 0; channel < shape.channels; ++channel) {
    for (int row = 0; row < image.rows; ++row) {
      const unsigned char* pixel = image.ptr(row) + channel;
      for (int column = 0; column < image.cols; ++column, pixel += shape.channels) {
        *destination++ = static_cast<float>(*pixel) / scale + shape.lowest;
      }
    }
  }
}

#else

struct ImageReader::Last {};

ImageReader::ImageReader() = default;

void ImageReader::read(const Input& input, const ImageShape&, float*) {
  throw InputError(input.path.string() + ": this program was built without OpenCV, which reads PNG and TIFF files; " +
                   "install OpenCV for C++ and build it again, or make .bin files (preprocess.py --result_format=bin)");
}

#endif

ImageReader::~ImageReader() = default;

}  // namespace unet
