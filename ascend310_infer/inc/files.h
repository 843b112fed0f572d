#ifndef UNET_INFER_FILES_H
#define UNET_INFER_FILES_H

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace unet {

// Returns the ending of the name in lower case, with its dot; microscopes write A.TIF.
std::string ending(const std::filesystem::path& path);

// Orders names with their numbers as numbers: "2" comes before "10".
bool numeric_less(const std::string& left, const std::string& right);

// One image: a file, or a page of a stack.
struct Input {
  std::filesystem::path path;
  size_t page = 0;   // from 0
  size_t pages = 1;  // of the file

  // NAME_0.bin, or NAME_PAGE_0.bin for a file of several pages; the name is cut at its last dot.
  std::string result_name() const;
};

// Returns the .bin files of a folder in numeric order, with_images also the pages of its pictures (see is_image). Leaves
// out hidden files, which a writer has not finished. Throws InputError if there are none, or two of one result.
std::vector<Input> list_inputs(const std::filesystem::path& folder, bool with_images);

// Throws InputError unless every file has this number of bytes; pictures are left out. `what` says what the files hold.
void check_sizes(const std::vector<Input>& inputs, size_t bytes, const std::string& what);

// Throws InputError unless the file is MindIR.
void check_mindir(const std::filesystem::path& path);

// Reads the file into `destination`. Throws InputError unless it has exactly this number of bytes.
void read_file(const std::filesystem::path& path, char* destination, size_t bytes);

// Reads a file of any size. Throws InputError.
std::vector<char> read_whole_file(const std::filesystem::path& path);

// Makes the folder unless it exists. Throws InputError.
void make_folder(const std::filesystem::path& folder);

// Writes a file that appears whole or not at all: under a temporary name, flushed to the disk, then renamed. Throws
// InputError.
void write_file(const std::filesystem::path& path, const char* data, size_t bytes);

}  // namespace unet

#endif
