// unet_infer: runs a U-Net in MINDIR format on the files that preprocess.py writes.
#include <algorithm>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include "arguments.h"
#include "error.h"
#include "files.h"
#include "image.h"
#include "network.h"
#include "pipeline.h"
#include "runtime_log.h"
#include "sidecar.h"

namespace {

constexpr int kFailureStatus = 1;
constexpr int kInputStatus = 2;
constexpr char kTimeFolder[] = "time_Result";
constexpr char kOtherVersion[] =
    " (this MindSpore Lite is older than the MindSpore that exported the file; use a release that matches, or "
    "convert an ONNX file with scripts/onnx_to_mindir.sh)";
constexpr char kTimeFile[] = "test_perform_static.txt";

unet::Timing infer(const unet::Arguments& arguments) {
  const auto inputs = unet::list_inputs(arguments.dataset_path, arguments.need_preprocess);
  std::error_code none;
  if (std::filesystem::equivalent(arguments.dataset_path, arguments.result_path, none)) {
    throw unet::InputError(arguments.result_path + ": inputs and results need two folders");
  }
  const bool with_pictures = std::any_of(inputs.begin(), inputs.end(),
                                         [](const unet::Input& input) { return unet::is_image(input.path); });
  const unet::Sidecar sidecar = unet::read_sidecar(arguments.mindir_path);
  const float lowest = unet::lowest_input(arguments, sidecar, with_pictures);
  const unet::RuntimeLog log;  // tells of a crash, too
  try {
    unet::Network network(arguments, lowest, unet::keeps_sizes(sidecar));
    unet::check_sizes(inputs, network.image_bytes(),
                      "one image of the model's input, " + network.input_text() + ", batch first");
    return unet::run_pipeline(&network, inputs, arguments.result_path);
  } catch (const unet::RuntimeError& error) {
    std::string reason = log.first_error();
    if (reason.find("mind ir version") != std::string::npos) reason += kOtherVersion;
    throw unet::RuntimeError(reason.empty() ? error.what() : error.what() + (": " + reason));
  }
}

void run(const unet::Arguments& arguments) {
  const std::string report = infer(arguments).report();
  unet::make_folder(kTimeFolder);
  unet::write_file(std::filesystem::path(kTimeFolder) / kTimeFile, report.data(), report.size());
  std::cout << report << "results: " << arguments.result_path << std::endl;
}

// Names of files can hold any bytes, which would be commands to the terminal.
int fail(std::string message, int status) {
  std::replace_if(message.begin(), message.end(), [](unsigned char letter) { return letter < ' ' || letter == 127; }, '?');
  std::cerr << "error: " << message << std::endl;
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto arguments = unet::parse_arguments(std::vector<std::string>(argv + 1, argv + argc));
    if (arguments.help) {
      std::cout << unet::usage();
    } else {
      run(arguments);
    }
    return 0;
  } catch (const unet::InputError& error) {
    return fail(error.what(), kInputStatus);
  } catch (const std::exception& error) {
    return fail(error.what(), kFailureStatus);
  }
}
