#ifndef UNET_INFER_FILES_H
#define UNET_INFER_FILES_H

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace unet {

// Orders names with their numbers as numbers: "2" comes before "10".
bool numeric_less(const std::string& left, const std::string& right);

// Returns the .bin files of a folder in numeric order. Leaves out hidden files, which a writer has not finished. Throws
// InputError if there are none.
std::vector<std::filesystem::path> list_inputs(const std::filesystem::path& folder);

// Throws InputError unless every file has this number of bytes. `what` says what they hold.
void check_sizes(const std::vector<std::filesystem::path>& files, size_t bytes, const std::string& what);

// Throws InputError unless the file is MindIR.
void check_mindir(const std::filesystem::path& path);

// Reads the file into `destination`. Throws InputError unless it has exactly this number of bytes.
void read_file(const std::filesystem::path& path, char* destination, size_t bytes);

// Makes the folder unless it exists. Throws InputError.
void make_folder(const std::filesystem::path& folder);

// Writes a file that appears whole or not at all: under a temporary name, flushed to the disk, then renamed. Throws
// InputError.
void write_file(const std::filesystem::path& path, const char* data, size_t bytes);

}  // namespace unet

#endif
