#include "network.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "error.h"
#include "files.h"

namespace unet {
namespace {

using mindspore::DataType;
using mindspore::MSTensor;

std::shared_ptr<mindspore::DeviceInfoContext> device_info(const Arguments& arguments) {
  switch (arguments.device) {
    case Device::kAscend: {
      auto info = std::make_shared<mindspore::AscendDeviceInfo>();
      info->SetDeviceID(arguments.device_id);
      return info;
    }
    case Device::kGpu: {
      auto info = std::make_shared<mindspore::GPUDeviceInfo>();
      info->SetDeviceID(arguments.device_id);
      return info;
    }
    default:
      return std::make_shared<mindspore::CPUDeviceInfo>();
  }
}

std::string type_name(DataType type) {
  switch (type) {
    case DataType::kNumberTypeFloat32:
      return "float32";
    case DataType::kNumberTypeInt32:
      return "int32";
    default:
      return "data type " + std::to_string(static_cast<int>(type));
  }
}

std::string describe(const MSTensor& tensor) {
  std::string text;
  for (const int64_t side : tensor.Shape()) {
    text += (text.empty() ? "" : ", ") + std::to_string(side);
  }
  return type_name(tensor.DataType()) + " (" + text + ")";
}

}  // namespace

Network::Network(const Arguments& arguments, float lowest_input, bool is_native) : path_(arguments.mindir_path) {
  check_mindir(path_);
  auto context = std::make_shared<mindspore::Context>();
  context->SetThreadNum(arguments.threads);
  context->MutableDeviceInfo().push_back(device_info(arguments));
  if (model_.Build(path_, mindspore::kMindIR, context) != mindspore::kSuccess) {
    throw RuntimeError(path_ + ": MindSpore Lite cannot load it for " + device_name(arguments.device));
  }
  inputs_ = model_.GetInputs();
  if (inputs_.size() != 1) {
    throw InputError(path_ + ": " + std::to_string(inputs_.size()) + " inputs found, expected one");
  }
  const MSTensor& input = inputs_[0];
  const std::vector<int64_t> shape = input.Shape();
  input_text_ = describe(input);
  const bool fixed = std::all_of(shape.begin(), shape.end(), [](int64_t side) { return side > 0; });
  if (input.DataType() != DataType::kNumberTypeFloat32 || shape.size() != 4 || !fixed ||
      input.format() == mindspore::NHWC) {
    throw InputError(path_ + ": its input is " + input_text_ + (input.format() == mindspore::NHWC ? " NHWC" : "") +
                     ", expected float32 (N, C, H, W) of fixed size; export it without --dynamic");
  }
  batch_size_ = static_cast<size_t>(shape[0]);
  image_bytes_ = input.DataSize() / batch_size_;
  image_shape_ = {static_cast<size_t>(shape[1]), static_cast<size_t>(shape[2]), static_cast<size_t>(shape[3]),
                  lowest_input, is_native};
}

std::vector<char> Network::predict(const std::vector<char>& images) {
  void* destination = inputs_[0].MutableData();
  if (destination == nullptr || inputs_[0].DataSize() != images.size()) {
    throw RuntimeError(path_ + ": MindSpore Lite gives no memory for the input");
  }
  std::memcpy(destination, images.data(), images.size());
  std::vector<MSTensor> outputs;
  if (model_.Predict(inputs_, &outputs) != mindspore::kSuccess) {
    throw RuntimeError(path_ + ": MindSpore Lite cannot run it");
  }
  const bool is_one = outputs.size() == 1 && !outputs[0].Shape().empty() &&
                      outputs[0].Shape()[0] == static_cast<int64_t>(batch_size_);
  const DataType type = is_one ? outputs[0].DataType() : DataType::kTypeUnknown;
  if (type != DataType::kNumberTypeFloat32 && type != DataType::kNumberTypeInt32) {
    throw InputError(path_ + ": " + std::to_string(outputs.size()) + " outputs found" +
                     (outputs.empty() ? "" : ", the first " + describe(outputs[0])) +
                     "; expected one, float32 or int32, with the batch of " + std::to_string(batch_size_) + " first");
  }
  const auto data = std::static_pointer_cast<const char>(outputs[0].Data());
  if (data == nullptr) {
    throw RuntimeError(path_ + ": MindSpore Lite gives no output");
  }
  return std::vector<char>(data.get(), data.get() + outputs[0].DataSize());
}

}  // namespace unet
