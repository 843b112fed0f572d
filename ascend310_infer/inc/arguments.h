#ifndef UNET_INFER_ARGUMENTS_H
#define UNET_INFER_ARGUMENTS_H

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
  int threads = 1;
  bool help = false;
};

// Reads --name=value or --name value. Throws InputError for an unknown option or a wrong value.
Arguments parse_arguments(const std::vector<std::string>& arguments);

std::string device_name(Device device);

std::string usage();

}  // namespace unet

#endif
