#ifndef UNET_INFER_TIFF_H
#define UNET_INFER_TIFF_H

#include <cstdint>
#include <filesystem>
#include <vector>

namespace unet {

// Returns where the header of each page of a TIFF file begins. Throws InputError, which names the file `path`, if it is
// damaged or has too many pages.
std::vector<uint64_t> find_tiff_pages(const std::filesystem::path& path, const std::vector<char>& file);

// Makes the page whose header begins at `header` the first one of the file.
void put_first(uint64_t header, std::vector<char>* file);

}  // namespace unet

#endif
