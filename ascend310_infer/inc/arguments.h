#ifndef UNET_INFER_ARGUMENTS_H
#define UNET_INFER_ARGUMENTS_H

#include <optional>
#include <string>
#include <vector>

namespace unet {

enum class Device { kCpu, kGpu, kAscend };

struct Arguments {
  std::string mindir_path;
  std::string dataset_path;
  std::string result_path = "./result_Files";
  Device device = Device::kCpu;
  unsigned device_id = 0;
  bool need_preprocess = false;
  std::optional<float> lowest_input;  // nothing if it was not given
  int threads = 1;
  bool help = false;
};

// Reads --name=value or --name value. Throws InputError for an unknown option or a wrong value.
Arguments parse_arguments(const std::vector<std::string>& arguments);

// Reads a range such as [-1,1], as the option input_range of the Python scripts has it, and returns its lower end. Throws
// InputError, which says where it was given.
float to_lowest_input(const std::string& name, std::string text);

std::string device_name(Device device);

std::string usage();

}  // namespace unet

#endif
