// Convolution with stride 1, and transposed convolution with stride = kernel size. oneDNN computes them, except for the
// convolutions that winograd.cc computes faster.
// Activations are NHWC, weights as MindSpore keeps them: (out, in, k, k), transposed (in, out, k, k); all float32.
// The factors of products are float32 or rounded to bfloat16; the sums of products are float32 in both cases.
#include "engine.h"
#include "winograd.h"

using dnnl::memory;
using tag = dnnl::memory::format_tag;
using unet::Tensor;

namespace {

using Type = memory::data_type;
constexpr auto f32 = Type::f32, bf16 = Type::bf16;

memory::desc nhwc(const Tensor& x, Type type) {
  return {{x.shape[0], x.shape[3], x.shape[1], x.shape[2]}, type, tag::nhwc};
}

memory::desc flat(int64_t size) { return {{size}, f32, tag::a}; }

memory view(const memory::desc& desc, const Tensor& x) { return memory(desc, unet::engine(), x.data); }

// Geometry of one layer: everything that its primitives depend on.
struct Layer {
  memory::desc src, dst;                            // NHWC
  memory::desc plain_weights;                       // as MindSpore keeps them
  memory::desc src_factor, dst_factor;              // NHWC, in the type of the factors
  memory::desc weights_factor, weights_gradient;    // in the layout that oneDNN chooses
  memory::desc bias;                                // empty if there is no bias
  memory::dims stride, pad_before, pad_after;
  std::vector<int64_t> key;

  Layer(const Tensor& x, const Tensor& w, const Tensor& y, bool with_bias, bool transposed, Type type)
      : src(nhwc(x, f32)), dst(nhwc(y, f32)), src_factor(nhwc(x, type)), dst_factor(nhwc(y, type)) {
    const int64_t k = w.shape[2];
    const memory::dims dims{y.shape[3], x.shape[3], k, k};   // (out, in, k, k)
    plain_weights = {dims, f32, transposed ? tag::iohw : tag::oihw};
    weights_factor = {dims, type, tag::any};
    weights_gradient = {dims, f32, tag::any};
    if (with_bias) bias = flat(y.shape[3]);
    stride = transposed ? memory::dims{k, k} : memory::dims{1, 1};
    for (int axis : {1, 2}) {
      // Padding of a same convolution. MindSpore puts the larger half of an odd padding at the end.
      const int64_t pad = transposed ? 0 : y.shape[axis] - x.shape[axis] + k - 1;
      pad_before.push_back(pad / 2);
      pad_after.push_back(pad - pad / 2);
    }
    key = {transposed, x.shape[0], x.shape[1], x.shape[2], x.shape[3], y.shape[1], y.shape[2], y.shape[3], k, with_bias,
           static_cast<int64_t>(type)};
  }
};

dnnl::primitive_attr attributes(bool relu) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (relu) {
    dnnl::post_ops ops;
    ops.append_eltwise(dnnl::algorithm::eltwise_relu, 0.f, 0.f);
    attr.set_post_ops(ops);
  }
  return attr;
}

// The primitives of a convolution or transposed convolution: forward, gradient of the data, gradient of the weights.
template <class Forward, class BackwardData, class BackwardWeights, dnnl::algorithm kAlgorithm>
struct Kind {
  static typename Forward::primitive_desc forward_desc(const Layer& l, bool relu) {
    const auto prop = dnnl::prop_kind::forward_training;
    if (l.bias.get_size()) {
      return {unet::engine(), prop, kAlgorithm, l.src_factor, l.weights_factor, l.bias, l.dst, l.stride, l.pad_before,
              l.pad_after, attributes(relu)};
    }
    return {unet::engine(), prop, kAlgorithm, l.src_factor, l.weights_factor, l.dst, l.stride, l.pad_before,
            l.pad_after, attributes(relu)};
  }

  static typename BackwardData::primitive_desc data_desc(const Layer& l) {
    return {unet::engine(), kAlgorithm, l.src, l.weights_factor, l.dst_factor, l.stride, l.pad_before, l.pad_after,
            forward_desc(l, false), attributes(false)};
  }

  static typename BackwardWeights::primitive_desc weights_desc(const Layer& l) {
    return {unet::engine(), kAlgorithm, l.src_factor, l.weights_gradient, l.dst_factor, l.stride, l.pad_before,
            l.pad_after, forward_desc(l, false), attributes(false)};
  }
};

// A primitive and its descriptor, which says what it needs to run.
template <class Primitive>
struct Made {
  typename Primitive::primitive_desc desc;
  Primitive primitive;
  explicit Made(const typename Primitive::primitive_desc& d) : desc(d), primitive(d) {}
};

template <class Primitive>
Made<Primitive>& made(const Layer& layer, bool relu, const std::function<typename Primitive::primitive_desc()>& desc) {
  auto key = layer.key;
  key.push_back(relu);
  return unet::cached<Made<Primitive>>(key, [&] { return std::make_unique<Made<Primitive>>(desc()); });
}

// Returns a tensor in the layout and type that a primitive wants.
memory as(const memory::desc& wanted, const memory::desc& desc, const Tensor& x) {
  memory given = view(desc, x);
  if (desc == wanted) return given;
  memory other = unet::scratch_memory(wanted);
  dnnl::reorder(given, other).execute(unet::stream(), given, other);
  return other;
}

template <class M>
void execute(M& made, std::unordered_map<int, memory> args) {
  args.insert({DNNL_ARG_SCRATCHPAD, unet::scratch_memory(made.desc.scratchpad_desc())});
  made.primitive.execute(unet::stream(), args);
  unet::stream().wait();
}

// x, w, [bias,] -> y
template <class Forward, class K>
void forward(std::vector<Tensor>& t, bool transposed, bool relu, Type type) {
  const bool with_bias = t.size() == 4;
  const Tensor &x = t[0], &w = t[1], &y = t.back();
  if (type == f32 && !transposed && unet::winograd::pays(w, y)) {
    return unet::winograd::forward(x, w, with_bias ? t[2].data : nullptr, relu, y);
  }
  const Layer layer(x, w, y, with_bias, transposed, type);
  auto& m = made<Forward>(layer, relu, [&] { return K::forward_desc(layer, relu); });
  std::unordered_map<int, memory> args{
      {DNNL_ARG_SRC, as(m.desc.src_desc(), layer.src, x)},
      {DNNL_ARG_WEIGHTS, as(m.desc.weights_desc(), layer.plain_weights, w)},
      {DNNL_ARG_DST, view(layer.dst, y)}};
  if (with_bias) args.insert({DNNL_ARG_BIAS, view(layer.bias, t[2])});
  execute(m, args);
}

// w, dy -> dx
template <class BackwardData, class K>
void backward_data(std::vector<Tensor>& t, bool transposed, Type type) {
  const Tensor &w = t[0], &dy = t[1], &dx = t[2];
  if (type == f32 && !transposed && unet::winograd::pays(w, dx)) return unet::winograd::backward_data(w, dy, dx);
  const Layer layer(dx, w, dy, false, transposed, type);
  auto& m = made<BackwardData>(layer, false, [&] { return K::data_desc(layer); });
  execute(m, {{DNNL_ARG_DIFF_DST, as(m.desc.diff_dst_desc(), layer.dst, dy)},
              {DNNL_ARG_WEIGHTS, as(m.desc.weights_desc(), layer.plain_weights, w)},
              {DNNL_ARG_DIFF_SRC, view(layer.src, dx)}});
}

// x, dy -> dw
template <class BackwardWeights, class K>
void backward_weights(std::vector<Tensor>& t, bool transposed, Type type) {
  const Tensor &x = t[0], &dy = t[1], &dw = t[2];
  if (type == f32 && !transposed && unet::winograd::pays(dw, dy)) {
    return unet::winograd::backward_weights(x, dy, dw);
  }
  const Layer layer(x, dw, dy, false, transposed, type);
  auto& m = made<BackwardWeights>(layer, false, [&] { return K::weights_desc(layer); });
  // The activations first, as in the other operators: a block of scratch memory is reused by its place in the order.
  memory src = as(m.desc.src_desc(), layer.src, x), diff_dst = as(m.desc.diff_dst_desc(), layer.dst, dy);
  memory plain = view(layer.plain_weights, dw);
  const bool direct = m.desc.diff_weights_desc() == layer.plain_weights;
  memory result = direct ? plain : unet::scratch_memory(m.desc.diff_weights_desc());
  execute(m, {{DNNL_ARG_SRC, src}, {DNNL_ARG_DIFF_DST, diff_dst}, {DNNL_ARG_DIFF_WEIGHTS, result}});
  if (!direct) dnnl::reorder(result, plain).execute(unet::stream(), result, plain);
  unet::stream().wait();
}

using Conv = Kind<dnnl::convolution_forward, dnnl::convolution_backward_data, dnnl::convolution_backward_weights,
                  dnnl::algorithm::convolution_direct>;
using Deconv = Kind<dnnl::deconvolution_forward, dnnl::deconvolution_backward_data,
                    dnnl::deconvolution_backward_weights, dnnl::algorithm::deconvolution_direct>;

}  // namespace

// Defines the operators with factors of one type.
#define UNET_CONVOLUTIONS(suffix, type)                                                                           \
  UNET_OPERATOR(unet_conv##suffix) { forward<dnnl::convolution_forward, Conv>(t, false, false, type); }           \
  UNET_OPERATOR(unet_conv_relu##suffix) { forward<dnnl::convolution_forward, Conv>(t, false, true, type); }       \
  UNET_OPERATOR(unet_conv_backward_data##suffix) {                                                                \
    backward_data<dnnl::convolution_backward_data, Conv>(t, false, type);                                         \
  }                                                                                                               \
  UNET_OPERATOR(unet_conv_backward_weights##suffix) {                                                             \
    backward_weights<dnnl::convolution_backward_weights, Conv>(t, false, type);                                   \
  }                                                                                                               \
  UNET_OPERATOR(unet_deconv##suffix) { forward<dnnl::deconvolution_forward, Deconv>(t, true, false, type); }      \
  UNET_OPERATOR(unet_deconv_backward_data##suffix) {                                                              \
    backward_data<dnnl::deconvolution_backward_data, Deconv>(t, true, type);                                      \
  }                                                                                                               \
  UNET_OPERATOR(unet_deconv_backward_weights##suffix) {                                                           \
    backward_weights<dnnl::deconvolution_backward_weights, Deconv>(t, true, type);                                \
  }

UNET_CONVOLUTIONS(, f32)
UNET_CONVOLUTIONS(_bf16, bf16)
