#ifndef UNET_INFER_PIPELINE_H
#define UNET_INFER_PIPELINE_H

#include <filesystem>
#include <vector>

#include "network.h"
#include "timing.h"

namespace unet {

// Runs the network on all inputs and writes Input::result_name() of each into `results`. One thread reads the next
// batches and one writes the last results, so that the device does not wait for the disk.
Timing run_pipeline(Network* network, const std::vector<Input>& inputs,
                    const std::filesystem::path& results);

}  // namespace unet

#endif
