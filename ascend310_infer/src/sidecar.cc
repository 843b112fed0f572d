#include "sidecar.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>

#include "error.h"
#include "files.h"

namespace unet {
namespace {

// Returns the text of a list or string of an object without white space and quotes; empty if it has none. export.py
// writes no key twice, and no key inside a text.
std::string value_of(const std::string& json, const std::string& key) {
  const size_t found = json.find("\"" + key + "\":");
  if (found == std::string::npos) return "";
  const size_t start = found + key.size() + 3;
  const size_t end = json.find(json[start] == '[' ? ']' : ',', start);
  std::string value = json.substr(start, end == std::string::npos ? end : end - start + (json[end] == ']'));
  const auto is_extra = [](char letter) { return letter == '"' || letter == '}'; };
  value.erase(std::remove_if(value.begin(), value.end(), is_extra), value.end());
  return value;
}

}  // namespace

Sidecar read_sidecar(const std::string& mindir_path) {
  Sidecar result;
  const std::string path = mindir_path + ".json";
  if (!std::filesystem::exists(path)) return result;
  const std::vector<char> file = read_whole_file(path);
  std::string json(file.begin(), file.end());
  json.erase(std::remove_if(json.begin(), json.end(), [](unsigned char letter) { return std::isspace(letter); }),
             json.end());
  if (json.size() < 2 || json.front() != '{' || json.back() != '}') {
    throw InputError(path + ": damaged, expected a JSON object; export the model again, or remove it");
  }
  result.path = path;
  result.input_range = value_of(json, "input_range");
  result.normalize = value_of(json, "normalize");
  result.channels = value_of(json, "channels");
  result.input = value_of(json, "input");
  result.content = value_of(json, "content");
  result.scale = value_of(json, "scale");
  return result;
}

namespace {

// Throws InputError if the network takes pictures in a way that this program cannot make of them.
void check_pictures(const Sidecar& sidecar) {
  std::string reason;
  if (!sidecar.normalize.empty() && sidecar.normalize != "range" && sidecar.normalize != "auto") {
    reason = "normalize " + sidecar.normalize;
  } else if (!sidecar.channels.empty() && sidecar.channels != "[]") {
    reason = "channels " + sidecar.channels;
  } else if (!sidecar.content.empty() && sidecar.content != sidecar.input) {
    reason = "images of " + sidecar.content + " in inputs of " + sidecar.input;
  } else if (sidecar.input.empty() && !sidecar.scale.empty() && std::stod(sidecar.scale) != 1) {
    reason = "images scaled by " + sidecar.scale + ", and its input has another size";
  }
  if (!reason.empty()) {
    throw InputError(sidecar.path + ": the network was trained with " + reason +
                     ", which this program cannot do to pictures; make .bin files (preprocess.py --result_format=bin)");
  }
}

}  // namespace

bool keeps_sizes(const Sidecar& sidecar) {
  return sidecar.input == "native" || (sidecar.input.empty() && !sidecar.scale.empty());
}

float lowest_input(const Arguments& arguments, const Sidecar& sidecar, bool with_pictures) {
  if (with_pictures) check_pictures(sidecar);
  if (sidecar.input_range.empty()) return arguments.lowest_input.value_or(-1);
  const float own = to_lowest_input(sidecar.path + ": input_range", sidecar.input_range);
  if (arguments.lowest_input.value_or(own) != own) {
    throw InputError("--input_range is " + std::string(own == 0 ? "[-1,1]" : "[0,1]") + ", but " + sidecar.path +
                     " says " + sidecar.input_range + "; leave it out");
  }
  return own;
}

}  // namespace unet
