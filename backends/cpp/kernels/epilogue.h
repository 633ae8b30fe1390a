// What is done to a result before it is stored: bias, residual, clamp, activation.
// needs: vec
//
//   struct Post      constants of a layer, the last member of its shape struct; `{}` does nothing
//     lo, hi         clamp: ReLU is {0, INF}, ReLU6 {0, 6}; applied first
//     act            an Activation, applied after the clamp; its case exists only where the model's file defines the
//                    macro named beside it below before the kernels
//     a, b           its parameters
//     after          0: y = act(clamp(x + bias + residual))      1: y = act(clamp(x + bias)) + residual
//     rs             floats between two 16-channel blocks of the residual
//     rring          rows the residual's buffer keeps, 0 = all; its rows are as wide as the result's
//   struct Side      pointers of a layer
//     bias           [K/16][16], lanes beyond K zero; nullptr = none
//     residual       blocked like the result; nullptr = none
//     slope          [K/16][16], PReLU only
//   activate(p, n, post, slope)                  in place over n floats of one 16-channel block (n a multiple of 16)
namespace {

enum Activation : int {
  ACT_NONE = 0,
  ACT_SILU = 1,          // MCONV_ACT_SILU          x sigmoid(x)
  ACT_HARD_SWISH = 2,    // MCONV_ACT_HARD_SWISH    x clamp(x / 6 + 1 / 2, 0, 1)
  ACT_HARD_SIGMOID = 3,  // MCONV_ACT_HARD_SIGMOID  clamp(a x + b, 0, 1)
  ACT_SIGMOID = 4,       // MCONV_ACT_SIGMOID
  ACT_TANH = 5,          // MCONV_ACT_TANH
  ACT_GELU = 6,          // MCONV_ACT_GELU          with erf
  ACT_GELU_TANH = 7,     // MCONV_ACT_GELU_TANH
  ACT_MISH = 8,          // MCONV_ACT_MISH
  ACT_LEAKY = 9,         // MCONV_ACT_LEAKY         x < 0 ? a x : x
  ACT_PRELU = 10,        // MCONV_ACT_PRELU         x < 0 ? slope[channel] x : x
  ACT_ELU = 11,          // MCONV_ACT_ELU           x < 0 ? a (e^x - 1) : x
  ACT_SELU = 12,         // MCONV_ACT_SELU          b * elu(x, a)
  ACT_SOFTPLUS = 13,     // MCONV_ACT_SOFTPLUS
  ACT_QUICK_GELU = 14,   // MCONV_ACT_QUICK_GELU    x sigmoid(a x)
};

struct Post {
  float lo = -INF, hi = INF;
  int act = ACT_NONE;
  float a = 0, b = 0;
  int after = 0;
  size_t rs = 0;
  int rring = 0;
};

struct Side {
  const float* bias = nullptr;
  const float* residual = nullptr;
  const float* slope = nullptr;
};

template <class F>
MC_INLINE void map_floats(float* p, int n, const F& f) {
  for (int i = 0; i < n; i += VL) store(p + i, f(load(p + i)));
}

MC_NOINLINE void activate(float* p, int n, const Post& post, const float* slope) {
  const float a = post.a, b = post.b;
  (void)p, (void)n, (void)a, (void)b, (void)slope;
  switch (post.act) {
#ifdef MCONV_ACT_SILU
    case ACT_SILU: map_floats(p, n, [](vf x) { return silu(x); }); break;
#endif
#ifdef MCONV_ACT_HARD_SWISH
    case ACT_HARD_SWISH: map_floats(p, n, [](vf x) { return hard_swish(x); }); break;
#endif
#ifdef MCONV_ACT_HARD_SIGMOID
    case ACT_HARD_SIGMOID: map_floats(p, n, [=](vf x) { return hard_sigmoid(x, a, b); }); break;
#endif
#ifdef MCONV_ACT_SIGMOID
    case ACT_SIGMOID: map_floats(p, n, [](vf x) { return sigmoid(x); }); break;
#endif
#ifdef MCONV_ACT_TANH
    case ACT_TANH: map_floats(p, n, [](vf x) { return vtanh(x); }); break;
#endif
#ifdef MCONV_ACT_GELU
    case ACT_GELU: map_floats(p, n, [](vf x) { return gelu(x); }); break;
#endif
#ifdef MCONV_ACT_GELU_TANH
    case ACT_GELU_TANH: map_floats(p, n, [](vf x) { return gelu_tanh(x); }); break;
#endif
#ifdef MCONV_ACT_MISH
    case ACT_MISH: map_floats(p, n, [](vf x) { return mish(x); }); break;
#endif
#ifdef MCONV_ACT_LEAKY
    case ACT_LEAKY: map_floats(p, n, [=](vf x) { return select(x < splat(0.f), x * a, x); }); break;
#endif
#ifdef MCONV_ACT_PRELU
    case ACT_PRELU:
      for (int i = 0; i < n; i += VL) {
        const vf x = load(p + i);
        store(p + i, select(x < splat(0.f), x * load(slope + i % 16), x));
      }
      break;
#endif
#ifdef MCONV_ACT_ELU
    case ACT_ELU: map_floats(p, n, [=](vf x) { return elu(x, a); }); break;
#endif
#ifdef MCONV_ACT_SELU
    case ACT_SELU: map_floats(p, n, [=](vf x) { return elu(x, a) * b; }); break;
#endif
#ifdef MCONV_ACT_SOFTPLUS
    case ACT_SOFTPLUS: map_floats(p, n, [](vf x) { return softplus(x); }); break;
#endif
#ifdef MCONV_ACT_QUICK_GELU
    case ACT_QUICK_GELU: map_floats(p, n, [=](vf x) { return x * sigmoid(x * a); }); break;
#endif
    default: break;
  }
}

// The second pass over `blocks` x `pixels` just stored at y, for what does not fit the first.
MC_INLINE void finish(const Post& post, float* y, size_t ys, int blocks, int pixels, const float* slope,
                      const float* residual) {
  if (post.act == ACT_NONE && !(post.after && residual)) return;
  for (int k = 0; k < blocks; k++) {
    float* p = y + k * ys;
    if (post.act != ACT_NONE) activate(p, pixels * 16, post, slope ? slope + k * 16 : nullptr);
    if (post.after && residual) {
      const float* q = residual + k * post.rs;
      for (int i = 0; i < pixels * 16; i += VL) store(p + i, load(p + i) + load(q + i));
    }
  }
}

}  // namespace
