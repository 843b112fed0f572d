#ifndef UNET_INFER_TIFF_H
#define UNET_INFER_TIFF_H

#include <cstdint>
#include <filesystem>
#include <vector>

namespace unet {

// Where the header of a page begins in the file, and where the kind of its alpha channel is, 0 without one.
struct TiffPage {
  uint64_t header = 0;
  uint64_t alpha = 0;
};

// Returns the pages of a TIFF file. Throws InputError, which names the file `path`, if it is damaged, has too many pages,
// or has one that OpenCV would not decode as the Python programs do.
std::vector<TiffPage> find_tiff_pages(const std::filesystem::path& path, const std::vector<char>& file);

// Makes the page the first one of the file, and its colours such that OpenCV does not multiply them by alpha.
void put_first(const TiffPage& page, std::vector<char>* file);

}  // namespace unet

#endif
