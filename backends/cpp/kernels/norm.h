// Normalisations and softmax.
// needs: vec run parallel
//
//   layer_norm(r, c, pixels, epsilon, xs, ys, x, gamma, beta, y)   over the channels of each pixel of a blocked image;
//                                          gamma, beta [C/16][16] (lanes beyond C: anything) or nullptr; y may be x
//   rms_norm(...)                          the same without the mean
//   group_norm(r, c, groups, pixels, epsilon, xs, ys, x, gamma, beta, y)   over pixels and the channels of a group; groups =
//                                          c is InstanceNorm; scratch: 32 * ceil(c / 16) floats
//   softmax_channels(r, c, pixels, logarithm, xs, ys, x, y)        over the channels of each pixel, blocked; y may be x
//   softmax_rows(r, rows, n, logarithm, x, y)                      over each contiguous row of n floats; y may be x
namespace {

MC_INLINE vi lanes_below(int n) {
  vi m{};
  MC_UNROLL for (int i = 0; i < VL; i++) m[i] = i < n ? -1 : 0;
  return m;
}

// f(block pointer offset, mask or all, lane) over the vectors of one pixel's channels
template <class F>
MC_INLINE void over_channels(int c, size_t stride, const F& f) {
  for (int cb = 0; cb * 16 < c; cb++)
    for (int v = 0; v < 16 && cb * 16 + v < c; v += VL) f((size_t)cb * stride + v, cb * 16 + v, imin(VL, c - cb * 16 - v));
}

template <bool CENTRE>
MC_NOINLINE void norm_pixels(int c, int pixels, float epsilon, size_t xs, size_t ys, const float* x, const float* gamma,
                             const float* beta, float* y) {
  constexpr int T = 4;  // pixels together, so that their sums do not wait for each other
  for (int first = 0; first < pixels; first += T) {
    const int n = imin(T, pixels - first);
    const float* px[T];
    MC_UNROLL for (int i = 0; i < T; i++) px[i] = x + (size_t)(first + imin(i, n - 1)) * 16;
    vf sum[T], square[T];
    float mean[T], scale[T];
    MC_UNROLL for (int i = 0; i < T; i++) sum[i] = square[i] = vf{};
    if (CENTRE)
      over_channels(c, xs, [&](size_t o, int, int lanes) __attribute__((always_inline)) {
        const vi mask = lanes_below(lanes);
        MC_UNROLL for (int i = 0; i < T; i++) sum[i] += lanes == VL ? load(px[i] + o) : select(mask, load(px[i] + o), vf{});
      });
    MC_UNROLL for (int i = 0; i < T; i++) mean[i] = CENTRE ? hsum(sum[i]) / c : 0.f;
    over_channels(c, xs, [&](size_t o, int, int lanes) __attribute__((always_inline)) {
      const vi mask = lanes_below(lanes);
      MC_UNROLL for (int i = 0; i < T; i++) {
        vf d = load(px[i] + o) - mean[i];
        if (lanes != VL) d = select(mask, d, vf{});
        square[i] += d * d;
      }
    });
    MC_UNROLL for (int i = 0; i < T; i++) scale[i] = 1.f / sqrtf(hsum(square[i]) / c + epsilon);
    for (int cb = 0; cb * 16 < c; cb++)
      for (int v = 0; v < 16; v += VL) {
        const vf g = gamma ? load(gamma + cb * 16 + v) : splat(1.f), b = beta ? load(beta + cb * 16 + v) : vf{};
        for (int i = 0; i < n; i++)
          store(y + cb * ys + (size_t)(first + i) * 16 + v, (load(px[i] + cb * xs + v) - mean[i]) * scale[i] * g + b);
      }
  }
}

// Parts of an image of pixels, for threads.
template <class F>
MC_INLINE void pixel_parts(Run& r, int pixels, const F& f) {
  const Split parts(pixels, r.threads == 1 ? pixels : imax(8, ceil_div(pixels, 4 * r.threads)));
  parallel(r, parts.parts, [&](int i, int) { f(parts.begin(i), parts.size(i)); });
}

MC_INLINE void layer_norm(Run& r, int c, int pixels, float epsilon, size_t xs, size_t ys, const float* x, const float* gamma,
                          const float* beta, float* y) {
  pixel_parts(r, pixels, [&](int p, int n) {
    norm_pixels<true>(c, n, epsilon, xs, ys, x + (size_t)p * 16, gamma, beta, y + (size_t)p * 16);
  });
}
MC_INLINE void rms_norm(Run& r, int c, int pixels, float epsilon, size_t xs, size_t ys, const float* x, const float* gamma,
                        const float* beta, float* y) {
  pixel_parts(r, pixels, [&](int p, int n) {
    norm_pixels<false>(c, n, epsilon, xs, ys, x + (size_t)p * 16, gamma, beta, y + (size_t)p * 16);
  });
}

// Per lane of a block: the sum over pixels of x, or of (x - mean)^2.
template <bool SQUARE>
MC_NOINLINE void block_sums(const float* x, int pixels, const float* mean, float* out) {
  for (int v = 0; v < 16; v += VL) {
    vf acc[4];
    MC_UNROLL for (int i = 0; i < 4; i++) acc[i] = vf{};
    const vf m = SQUARE ? load(mean + v) : vf{};
    const float* p = x + v;
    int i = 0;
    for (; i + 4 <= pixels; i += 4, p += 64) MC_UNROLL for (int u = 0; u < 4; u++) {
        const vf d = load(p + u * 16) - m;
        acc[u] += SQUARE ? d * d : d;
      }
    for (; i < pixels; i++, p += 16) {
      const vf d = load(p) - m;
      acc[0] += SQUARE ? d * d : d;
    }
    store(out + v, (acc[0] + acc[1]) + (acc[2] + acc[3]));
  }
}

MC_NOINLINE void group_norm(Run& r, int c, int groups, int pixels, float epsilon, size_t xs, size_t ys, const float* x,
                            const float* gamma, const float* beta, float* y) {
  const int blocks = ceil_div(c, 16), width = c / groups;
  float *sums = r.scratch(0), *means = sums + blocks * 16;
  const double count = (double)width * pixels;
  parallel(r, blocks, [&](int cb, int) { block_sums<false>(x + cb * xs, pixels, nullptr, sums + cb * 16); });
  for (int i = c; i < blocks * 16; i++) means[i] = 0;
  for (int g = 0; g < c; g += width) {
    double s = 0;
    for (int i = 0; i < width; i++) s += sums[g + i];
    for (int i = 0; i < width; i++) means[g + i] = (float)(s / count);
  }
  parallel(r, blocks, [&](int cb, int) { block_sums<true>(x + cb * xs, pixels, means + cb * 16, sums + cb * 16); });
  for (int g = 0; g < c; g += width) {
    double s = 0;
    for (int i = 0; i < width; i++) s += sums[g + i];
    for (int i = 0; i < width; i++) sums[g + i] = (float)(1 / sqrt(s / count + epsilon));
  }
  for (int i = c; i < blocks * 16; i++) sums[i] = 0;
  parallel(r, blocks, [&](int cb, int) {
    for (int v = 0; v < 16; v += VL) {
      const int o = cb * 16 + v;
      const vf m = load(means + o), a = load(sums + o) * (gamma ? load(gamma + o) : splat(1.f)), b = beta ? load(beta + o) : vf{};
      const float* p = x + cb * xs + v;
      float* q = y + cb * ys + v;
      for (int i = 0; i < pixels; i++) store(q + (size_t)i * 16, (load(p + (size_t)i * 16) - m) * a + b);
    }
  });
}

// Softmax of n numbers in pieces of `full` lanes at p[piece * stride]; the last piece may be shorter. y may be x.
MC_INLINE void softmax_pieces(int n, int full, size_t xs, size_t ys, bool logarithm, const float* x, float* y) {
  vf top = splat(-INF), sum = vf{};
  const auto each = [&](auto f) __attribute__((always_inline)) {
    for (int i = 0; i < n; i += full) {
      const int m = imin(full, n - i);
      int v = 0;
      for (; v + VL <= m; v += VL) f((size_t)(i / full) * xs + v, (size_t)(i / full) * ys + v, VL);
      if (v < m) f((size_t)(i / full) * xs + v, (size_t)(i / full) * ys + v, m - v);
    }
  };
  const auto read = [&](const float* p, int lanes, float fill) __attribute__((always_inline)) {
    if (lanes == VL) return loadu(p);
    vf r = splat(fill);
    for (int i = 0; i < lanes; i++) r[i] = p[i];
    return r;
  };
  const auto write = [&](float* p, vf v, int lanes) __attribute__((always_inline)) {
    if (lanes == VL) storeu(p, v);
    else for (int i = 0; i < lanes; i++) p[i] = v[i];
  };
  each([&](size_t o, size_t, int lanes) __attribute__((always_inline)) { top = vmax(top, read(x + o, lanes, -INF)); });
  const float most = hmax(top);
  if (logarithm) {
    each([&](size_t o, size_t, int lanes) __attribute__((always_inline)) {
      sum += select(lanes_below(lanes), vexp(read(x + o, lanes, most) - most), vf{});
    });
    const float rest = logf(hsum(sum));
    each([&](size_t o, size_t q, int lanes) __attribute__((always_inline)) { write(y + q, (read(x + o, lanes, 0) - most) - rest, lanes); });
    return;
  }
  each([&](size_t o, size_t q, int lanes) __attribute__((always_inline)) {
    const vf e = vexp_full(read(x + o, lanes, -INF) - most);
    sum += e;
    write(y + q, e, lanes);
  });
  const float scale = 1.f / hsum(sum);
  each([&](size_t, size_t q, int lanes) __attribute__((always_inline)) { write(y + q, read(y + q, lanes, 0) * scale, lanes); });
}

MC_NOINLINE void softmax_channels(Run& r, int c, int pixels, bool logarithm, size_t xs, size_t ys, const float* x, float* y) {
  pixel_parts(r, pixels, [&](int first, int n) {
    for (int i = first; i < first + n; i++) softmax_pieces(c, 16, xs, ys, logarithm, x + (size_t)i * 16, y + (size_t)i * 16);
  });
}

MC_NOINLINE void softmax_rows(Run& r, int rows, int n, bool logarithm, const float* x, float* y) {
  pixel_parts(r, rows, [&](int first, int count) {
    for (int i = first; i < first + count; i++) softmax_pieces(n, 1 << 20, 1 << 20, 1 << 20, logarithm, x + (size_t)i * n, y + (size_t)i * n);
  });
}

}  // namespace
