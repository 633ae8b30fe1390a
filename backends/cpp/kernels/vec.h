// The vector type, what every kernel does with it, and the tile limits of each instruction set.
// needs:
//
//   vf, vi                 VL floats / VL 32-bit integers; VL is 16 (AVX-512), 8 (AVX2) or 4 (SSE2, NEON)
//   VPB = 16 / VL          vectors in a 16-channel block
//   load, store            aligned to the vector;  loadu, storeu need the alignment of a float only
//   splat, vmin, vmax      both propagate a NaN of their SECOND operand
//   select(mask, a, b), vabs, vsqrt, hsum, hmax
//   vexp (2e-7), vlog, vtanh, verf, sigmoid, silu, gelu, ...   relative errors stay below 1e-6
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#define MC_VL 16
#elif defined(__AVX2__)
#define MC_VL 8
#else
#define MC_VL 4
#endif
#define MC_INLINE static inline __attribute__((always_inline, unused))
#define MC_NOINLINE static __attribute__((noinline, unused))
// One copy for all, not one for each argument known beforehand, which would take as long to compile again.
#if defined(__clang__)
#define MC_NOCLONE
#else
#define MC_NOCLONE __attribute__((noclone))
#endif
#define MC_UNROLL _Pragma("GCC unroll 64")
// The compiler forgets where p points: values read through it are not kept over many steps, which would spill.
#define MC_HIDE(p) asm("" : "+r"(p))
// v is a register from here on: it is loaded once, not again by everyone who uses it.
#if defined(__AVX512F__)
#define MC_KEEP(v) asm("" : "+v"(v))
#elif defined(__x86_64__)
#define MC_KEEP(v) asm("" : "+x"(v))
#else
#define MC_KEEP(v) asm("" : "+w"(v))
#endif
// What is read through p is read when v[0 .. 4) are there: g++ for Arm reads so early that registers run out.
#if defined(__aarch64__)
#define MC_AFTER(p, v) asm("" : "+r"(p) : "w"((v)[0]), "w"((v)[1]), "w"((v)[2]), "w"((v)[3]))
#else
#define MC_AFTER(p, v) (void)0
#endif

namespace {

constexpr int VL = MC_VL;
constexpr int VPB = 16 / VL;
typedef float vf __attribute__((vector_size(MC_VL * 4)));
typedef int32_t vi __attribute__((vector_size(MC_VL * 4)));
typedef float vfu __attribute__((vector_size(MC_VL * 4), aligned(4), may_alias));

// The largest micro-tile of a matrix product, in pixels and 16-channel blocks, and of a depthwise row, in pixels, next to
// each other and with a stride.
#if MC_VL == 16
constexpr int TILE_PIXELS = 14, TILE_BLOCKS = 2, DEPTHWISE_PIXELS = 14, DEPTHWISE_APART = 14;
#elif MC_VL == 8
constexpr int TILE_PIXELS = 6, TILE_BLOCKS = 1, DEPTHWISE_PIXELS = 10, DEPTHWISE_APART = 10;
#elif defined(__aarch64__)
constexpr int TILE_PIXELS = 6, TILE_BLOCKS = 1, DEPTHWISE_PIXELS = 14, DEPTHWISE_APART = 10;
#else
constexpr int TILE_PIXELS = 3, TILE_BLOCKS = 1, DEPTHWISE_PIXELS = 7, DEPTHWISE_APART = 7;
#endif
constexpr float INF = __builtin_inff();
alignas(64) const float ZEROS[32] = {};

constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }
constexpr int imin(int a, int b) { return a < b ? a : b; }
constexpr int imax(int a, int b) { return a > b ? a : b; }

MC_INLINE vf load(const float* p) { return *(const vf*)p; }
MC_INLINE vf loadu(const float* p) { return *(const vfu*)p; }
MC_INLINE void store(float* p, vf v) { *(vf*)p = v; }
MC_INLINE void storeu(float* p, vf v) { *(vfu*)p = v; }
MC_INLINE vf splat(float f) { return f - vf{}; }
MC_INLINE vi splati(int32_t i) { return i - vi{}; }
MC_INLINE vf vmax(vf a, vf b) { return a > b ? a : b; }
MC_INLINE vf vmin(vf a, vf b) { return a < b ? a : b; }
MC_INLINE vf clamp(vf v, float lo, float hi) { return vmin(splat(hi), vmax(splat(lo), v)); }
MC_INLINE vf select(vi mask, vf a, vf b) { return mask ? a : b; }
MC_INLINE vf vabs(vf v) { return (vf)((vi)v & splati(0x7fffffff)); }
MC_INLINE vf sign_of(vf sign, vf magnitude) {
  const vi top = splati((int32_t)0x80000000u);
  return (vf)(((vi)magnitude & ~top) | ((vi)sign & top));
}
MC_INLINE vf vsqrt(vf v) {
  vf r{};
  MC_UNROLL for (int i = 0; i < VL; i++) r[i] = __builtin_sqrtf(v[i]);
  return r;
}
MC_INLINE float hsum(vf v) {
  float s = 0;
  MC_UNROLL for (int i = 0; i < VL; i++) s += v[i];
  return s;
}
MC_INLINE float hmax(vf v) {
  float s = v[0];
  MC_UNROLL for (int i = 1; i < VL; i++) s = s > v[i] ? s : v[i];
  return s;
}
// 2^n for whole numbers n of [-126, 127]
MC_INLINE vf pow2(vi n) { return (vf)((n + splati(127)) << 23); }
// e^r * 2^n = e^x with |r| <= ln(2)/2; the polynomial's relative error is 3e-9
MC_INLINE vf exp_parts(vf x, vi* n) {
  const vf magic = splat(12582912.f);
  vf t = x * 1.44269504f + magic;
  vf k = t - magic;
  vf r = x - k * 0.693359375f;
  r = r + k * 2.12194440e-4f;
  *n = (vi)t - (vi)magic;
  vf p = splat(1.381454e-3f);
  p = p * r + 8.368715e-3f;
  p = p * r + 4.1668389e-2f;
  p = p * r + 0.166665207f;
  p = p * r + 0.499999934f;
  return p * (r * r) + r + 1.f;
}
// 2^(x * scale); scale times log2(e) rounded is what makes it e^x or e^-x
MC_INLINE vf exp2_of(vf x, float scale) {
#if MC_VL == 16
  const vf t = x * scale;
  vf k;
  asm("vrndscaleps $0, %1, %0" : "=v"(k) : "v"(t));
  const vf f = x * scale - k;
#else
  const vf magic = splat(12582912.f);
  const vf t = x * scale + magic;
  const vf f = x * scale - (t - magic);
#endif
  vf p = splat(1.3264678e-3f);
  p = p * f + 9.6715147e-3f;
  p = p * f + 5.55073388e-2f;
  p = p * f + 0.240222421f;
  p = p * f + 0.693146978f;
  p = p * f + 1.f;
#if MC_VL == 16
  vf r;
  asm("vscalefps %2, %1, %0" : "=v"(r) : "v"(p), "v"(k));
  return r;
#else
  return (vf)((vi)p + ((vi)t << 23));
#endif
}
// x within what exp2_of can do: with 16 lanes it has no lower limit
MC_INLINE vf exp_range(vf x) { return MC_VL == 16 ? vmin(splat(88.f), x) : clamp(x, -87.f, 88.f); }
// e^x where x is held within [-87, 88]: for sums and quotients, where that is not seen. Relative error 1e-7 + 5e-8 |x|.
MC_INLINE vf vexp(vf x) { return exp2_of(exp_range(x), 1.44269504f); }
// 1 / x, x a normal number: the machine's estimate and a Newton step where that is faster than a division
MC_INLINE vf reciprocal(vf x) {
#if MC_VL == 16
  const vf r = (vf)__builtin_ia32_rcp14ps512_mask(x, vf{}, (unsigned short)-1);
  return r * (2.f - x * r);
#elif MC_VL == 8
  const vf r = __builtin_ia32_rcpps256(x);
  return r * (2.f - x * r);
#else
  return 1.f / x;
#endif
}
// e^x over all floats
MC_INLINE vf vexp_full(vf x) {
  vi n{};
  vf p = exp_parts(clamp(x, -104.f, 89.f), &n);
  vi half = n >> 1;
  return p * pow2(half) * pow2(n - half);
}
// log(1 + z) - z for z of [sqrt(1/2) - 1, sqrt(2) - 1]
MC_INLINE vf log1p_rest(vf z) {
  vf p = splat(-7.6345995e-2f);
  p = p * z + 0.127618084f;
  p = p * z - 0.131602563f;
  p = p * z + 0.142017344f;
  p = p * z - 0.166233481f;
  p = p * z + 0.200012275f;
  p = p * z - 0.250008213f;
  p = p * z + 0.333333317f;
  return (p * z - 0.5f) * (z * z);
}
// The natural logarithm; -inf at 0, NaN below
MC_INLINE vf vlog(vf x) {
  vi tiny = x < splat(1.17549435e-38f);
  vf y = select(tiny, x * 8388608.f, x);
  vi bits = (vi)y - splati(0x3f3504f3);
  vi e = bits >> 23;
  vf m = (vf)((bits & splati(0x7fffff)) + splati(0x3f3504f3)) - 1.f;
  vf k = __builtin_convertvector(e, vf) - select(tiny, splat(23.f), splat(0.f));
  vf r = (log1p_rest(m) + k * -2.12194440e-4f) + m + k * 0.693359375f;
  r = select(x == splat(0.f), splat(-INF), r);
  r = select(x == splat(INF), x, r);
  return select((x < splat(0.f)) | (x != x), splat(__builtin_nanf("")), r);
}
// log(1 + e) for e of [0, 1]: below sqrt(2) - 1 no digit of a small e is lost
MC_INLINE vf log1p_unit(vf e) {
  vf small = log1p_rest(e) + e;
  return select(e < splat(0.41421356f), small, vlog(e + 1.f));
}
MC_INLINE vf vtanh(vf x) {
  vf a = vabs(x), q = x * x;
  vf p = splat(-5.659925e-3f);
  p = p * q + 2.0590936e-2f;
  p = p * q - 5.3721054e-2f;
  p = p * q + 0.133311274f;
  p = p * q - 0.333332605f;
  vf small = x + x * (p * q);
  vf large = 1.f - 2.f * reciprocal(vexp(a + a) + 1.f);
  return select(a < splat(0.625f), small, sign_of(x, large));
}
// erfc(a) for a >= 0 with the relative error of one exponential: e^(-a*a) times a polynomial of 1/(1 + 0.4a)
MC_INLINE vf erfc_positive(vf a) {
  vf t = reciprocal(a * 0.4f + 1.f);
  vf p = splat(4.4148887e-2f);
  p = p * t - 0.154382356f;
  p = p * t + 0.112981245f;
  p = p * t + 5.4914833e-2f;
  p = p * t + 0.102466321f;
  p = p * t + 0.183791493f;
  p = p * t + 0.204319163f;
  p = p * t + 0.226106863f;
  p = p * t + 0.225653627f;
  return p * t * vexp(-(a * a));
}
MC_INLINE vf verf(vf x) {
  vf a = vabs(x), q = x * x;
  vf p = splat(7.8537498e-5f);
  p = p * q - 8.0101639e-4f;
  p = p * q + 5.1883248e-3f;
  p = p * q - 2.6853811e-2f;
  p = p * q + 0.112835851f;
  p = p * q - 0.376126258f;
  p = p * q + 1.12837917f;
  return select(a < splat(1.f), x * p, sign_of(x, 1.f - erfc_positive(a)));
}
MC_INLINE vf sigmoid(vf x) {
  const vf held = MC_VL == 16 ? vmax(splat(-88.f), x) : clamp(x, -88.f, 87.f);
  return reciprocal(exp2_of(held, -1.44269504f) + 1.f);
}
MC_INLINE vf silu(vf x) { return x * sigmoid(x); }
MC_INLINE vf hard_sigmoid(vf x, float slope, float offset) { return clamp(x * slope + offset, 0.f, 1.f); }
MC_INLINE vf hard_swish(vf x) { return x * hard_sigmoid(x, 1.f / 6, 0.5f); }
MC_INLINE vf gelu(vf x) {
  vf tail = erfc_positive(vabs(x) * 0.707106781f) * 0.5f;
  return x * select(x < splat(0.f), tail, 1.f - tail);
}
MC_INLINE vf gelu_tanh(vf x) {
  // 0.5 (1 + tanh u) is sigmoid(2u)
  return x * sigmoid(x * (x * x * 0.0713548162726f + 1.59576912161f));
}
MC_INLINE vf softplus(vf x) { return vmax(splat(0.f), x) + log1p_unit(vexp(-vabs(x))); }
MC_INLINE vf mish(vf x) {
  // tanh(log(1 + e)) = (e*e + 2e) / (e*e + 2e + 2)
  vf e = vexp(clamp(x, -87.f, 20.f));
  vf n = e * (e + 2.f);
  return x * (n * reciprocal(n + 2.f));
}
MC_INLINE vf expm1(vf x) {
  vf p = splat(1.f / 720);
  p = p * x + 1.f / 120;
  p = p * x + 1.f / 24;
  p = p * x + 1.f / 6;
  p = p * x + 0.5f;
  return select(vabs(x) < splat(0.2f), x + x * x * p, vexp(x) - 1.f);
}
MC_INLINE vf elu(vf x, float alpha) { return select(x > splat(0.f), x, expm1(vmin(splat(0.f), x)) * alpha); }

}  // namespace
