#include "arguments.h"

#include <algorithm>
#include <functional>
#include <map>
#include <thread>

#include "error.h"

namespace unet {
namespace {

constexpr int kMostThreads = 1024;
constexpr int kMostDevices = 1024;

int to_number(const std::string& name, const std::string& text, int lowest, int highest) {
  const bool digits = !text.empty() && text.size() <= 9 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  const int number = digits ? std::stoi(text) : -1;
  if (!digits || number < lowest || number > highest) {
    throw InputError(name + ": expected a whole number from " + std::to_string(lowest) + " to " +
                     std::to_string(highest) + ", found '" + text + "'");
  }
  return number;
}

Device to_device(const std::string& text) {
  for (const Device device : {Device::kAscend, Device::kGpu, Device::kCpu}) {
    if (text == device_name(device)) return device;
  }
  throw InputError("--device_type: expected Ascend, GPU or CPU, found '" + text + "'");
}

bool to_bool(const std::string& name, const std::string& text) {
  if (text != "y" && text != "n") throw InputError(name + ": expected y or n, found '" + text + "'");
  return text == "y";
}

int all_cores() {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(cores, 1, kMostThreads);  // 0 if the system does not say
}

}  // namespace

float to_lowest_input(const std::string& name, std::string text) {
  const auto is_extra = [](char letter) { return letter == '[' || letter == ']' || letter == ' '; };
  text.erase(std::remove_if(text.begin(), text.end(), is_extra), text.end());
  if (text != "-1,1" && text != "0,1") {
    throw InputError(name + ": expected [-1,1] or [0,1], found '" + text + "'");
  }
  return text == "0,1" ? 0 : -1;
}

std::string device_name(Device device) {
  switch (device) {
    case Device::kAscend:
      return "Ascend";
    case Device::kGpu:
      return "GPU";
    default:
      return "CPU";
  }
}

Arguments parse_arguments(const std::vector<std::string>& arguments) {
  Arguments result;
  result.threads = all_cores();
  const std::map<std::string, std::function<void(const std::string&)>> options = {
      {"--mindir_path", [&](const std::string& value) { result.mindir_path = value; }},
      {"--dataset_path", [&](const std::string& value) { result.dataset_path = value; }},
      {"--result_path", [&](const std::string& value) { result.result_path = value; }},
      {"--device_type", [&](const std::string& value) { result.device = to_device(value); }},
      {"--device_id",
       [&](const std::string& value) {
         result.device_id = static_cast<unsigned>(to_number("--device_id", value, 0, kMostDevices));
       }},
      {"--need_preprocess",
       [&](const std::string& value) { result.need_preprocess = to_bool("--need_preprocess", value); }},
      {"--input_range", [&](const std::string& value) { result.lowest_input = to_lowest_input("--input_range", value); }},
      {"--threads", [&](const std::string& value) { result.threads = to_number("--threads", value, 1, kMostThreads); }},
  };
  for (size_t index = 0; index < arguments.size(); ++index) {
    const std::string& argument = arguments[index];
    if (argument == "--help" || argument == "-h") {
      result.help = true;
      return result;
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const auto option = options.find(name);
    if (option == options.end()) {
      throw InputError("unknown argument '" + argument + "'; --help lists the options");
    }
    if (equals == std::string::npos && index + 1 == arguments.size()) {
      throw InputError(name + ": a value is missing");
    }
    const std::string value = equals == std::string::npos ? arguments[++index] : argument.substr(equals + 1);
    if (value.empty()) {
      throw InputError(name + ": the value is empty");
    }
    option->second(value);
  }
  if (result.mindir_path.empty() || result.dataset_path.empty()) {
    throw InputError("--mindir_path and --dataset_path are needed; --help lists the options");
  }
  return result;
}

std::string usage() {
  return "Runs a U-Net in MINDIR format on all .bin files of a folder.\n"
         "\n"
         "  --mindir_path=FILE      the model\n"
         "  --dataset_path=DIR      inputs NAME.bin from preprocess.py, each one float32 image (C, H, W)\n"
         "  --need_preprocess=y     take NAME.png and NAME.tif of 8 bits too: decode, resize and scale them; needs a build\n"
         "                          with OpenCV (default: n)\n"
         "  --input_range=RANGE     to which pictures are scaled, [-1,1] or [0,1] (default: that of FILE.json, or [-1,1])\n"
         "  --result_path=DIR       folder for the outputs, NAME_0.bin for each input, NAME_PAGE_0.bin for each page\n"
         "                          of a stack, from 0 (default: ./result_Files)\n"
         "  --device_type=TYPE      Ascend, GPU or CPU (default: CPU)\n"
         "  --device_id=NUMBER      which Ascend or GPU card (default: 0)\n"
         "  --threads=NUMBER        number of CPU threads (default: all cores)\n"
         "  --help                  show this text\n"
         "\n"
         "The times go to time_Result/test_perform_static.txt in the current folder. To see the log of MindSpore\n"
         "Lite, set GLOG_v=2 (warnings and errors), 1 (information) or 0 (everything) in the environment.\n";
}

}  // namespace unet
