#ifndef UNET_INFER_FILES_H
#define UNET_INFER_FILES_H

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace unet {

// "2" before "10": runs of digits count as numbers.
bool numeric_less(const std::string& left, const std::string& right);

// The .bin files of a folder in numeric order, each of the expected size. Hidden files are left out: those are
// what a writer has not finished. Throws InputError.
std::vector<std::filesystem::path> list_inputs(const std::filesystem::path& folder);

// Throws InputError unless every file has so many bytes.
void check_sizes(const std::vector<std::filesystem::path>& files, size_t bytes, const std::string& what);

// Throws InputError where the file is no MindIR.
void check_mindir(const std::filesystem::path& path);

// Reads the file to ``destination``. Throws InputError unless it has exactly so many bytes.
void read_file(const std::filesystem::path& path, char* destination, size_t bytes);

// Makes the folder if need be. Throws InputError.
void make_folder(const std::filesystem::path& folder);

// The file appears whole or not at all: it is written beside, flushed to the disk, and renamed. Throws InputError.
void write_file(const std::filesystem::path& path, const char* data, size_t bytes);

}  // namespace unet

#endif
