// 3x3 convolution with stride 1, in a quarter of the multiplications.
#pragma once

#include "engine.h"

namespace unet::winograd {

// Whether this is faster than oneDNN for weights w and results (or, for the gradient of the data, dx) of the size of y.
bool pays(const Tensor& w, const Tensor& y);

// x, w[, bias] -> y; `bias` may be null.
void forward(const Tensor& x, const Tensor& w, const float* bias, bool relu, const Tensor& y);

// w, dy -> dx
void backward_data(const Tensor& w, const Tensor& dy, const Tensor& dx);

// x, dy -> dw
void backward_weights(const Tensor& x, const Tensor& dy, const Tensor& dw);

}  // namespace unet::winograd
