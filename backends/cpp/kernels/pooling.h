// Pooling over windows and over the whole image.
// needs: vec run ring parallel epilogue window
//
//   max_pool(r, s, x, y, y0, y1)              rows [y0, y1); cells outside the image are no candidates
//   average_pool(r, s, divisor, x, y, y0, y1) divisor 0: the number of cells inside the image; else this constant
//   s.c = s.k channels, s.post.lo / hi clamp the result (no other epilogue). No scratch.
//   global_average(r, c, pixels, xs, ys, x, y), global_max(...)    y is one pixel; the image is stored whole (no ring)
namespace {

// One result from K rows of K columns that are all there: `step` floats from column to column.
template <bool MAX, int K>
MC_INLINE vf pooled(const float* const* rows, ptrdiff_t at, int step) {
  vf row[K];
  MC_UNROLL for (int ky = 0; ky < K; ky++) {
    row[ky] = load(rows[ky] + at);
    MC_UNROLL for (int kx = 1; kx < K; kx++) {
      const vf next = load(rows[ky] + at + kx * step);
      row[ky] = MAX ? vmax(row[ky], next) : row[ky] + next;
    }
  }
  MC_UNROLL for (int ky = 1; ky < K; ky++) row[0] = MAX ? vmax(row[0], row[ky]) : row[0] + row[ky];
  return row[0];
}

// Results [begin, end) of a row whose K x K windows are all inside.
template <bool MAX, int K>
MC_INLINE void pool_inside(const Conv2d& s, const float* const* rows, float scale, float* y, int begin, int end) {
  for (int ox = begin; ox < end; ox++)
    MC_UNROLL for (int v = 0; v < VPB; v++) {
      const vf found = pooled<MAX, K>(rows, (ptrdiff_t)(ox * s.sx - s.px) * 16 + v * VL, s.dx * 16);
      store(y + ox * 16 + v * VL, clamp(MAX ? found : found * scale, s.post.lo, s.post.hi));
    }
}

template <bool MAX>
MC_NOINLINE void pool(Run& r, const Conv2d& s, float divisor, const float* x, float* y, int y0, int y1) {
  const int blocks = ceil_div(s.c, 16);
  const Split bands = row_bands(r, y1 - y0);
  // results [in0, in1) of a row have every column of their window inside
  const int in0 = imin(s.ow, ceil_div(s.px, s.sx));
  const int room = s.w - 1 - (s.kw - 1) * s.dx + s.px;
  const int in1 = imax(in0, imin(s.ow, room < 0 ? 0 : room / s.sx + 1));
  parallel(r, blocks * bands.parts, [&](int item, int) {
    const int band = item / blocks, cb = item % blocks;
    for (int oy = y0 + bands.begin(band); oy < y0 + bands.begin(band) + bands.size(band); oy++) {
      const float* rows[MAX_WINDOW_ROWS];
      int n = 0;
      for (int ky = 0; ky < s.kh; ky++) {
        const int iy = oy * s.sy - s.py + ky * s.dy;
        if (iy >= 0 && iy < s.h) rows[n++] = x + cb * s.xs + ring_row(iy, s.xring) * s.w * 16;
      }
      float* yr = y + cb * s.ys + ring_row(oy, s.yring) * s.ow * 16;
      const vf start = splat(MAX ? -INF : 0.f);
      const bool square = n == s.kh && s.kh == s.kw && (n == 2 || n == 3);
      for (int ox = 0; ox < s.ow; ox++) {
        if (square && ox == in0 && in0 < in1) {
          const float scale = 1.f / (divisor != 0 ? divisor : (float)(n * n));
          if (n == 2) pool_inside<MAX, 2>(s, rows, scale, yr, in0, in1);
          else pool_inside<MAX, 3>(s, rows, scale, yr, in0, in1);
          ox = in1 - 1;
          continue;
        }
        const int ix = ox * s.sx - s.px;
        int k0 = 0, k1 = s.kw;
        if (ox < in0 || ox >= in1) {
          while (k0 < k1 && ix + k0 * s.dx < 0) k0++;
          while (k1 > k0 && ix + (k1 - 1) * s.dx >= s.w) k1--;
        }
        vf acc[VPB];
        MC_UNROLL for (int v = 0; v < VPB; v++) acc[v] = start;
        for (int ky = 0; ky < n; ky++) {
          const float* p = rows[ky] + (ptrdiff_t)(ix + k0 * s.dx) * 16;
          for (int kx = k0; kx < k1; kx++, p += s.dx * 16)
            MC_UNROLL for (int v = 0; v < VPB; v++) acc[v] = MAX ? vmax(acc[v], load(p + v * VL)) : acc[v] + load(p + v * VL);
        }
        const float scale = MAX ? 1.f : 1.f / (divisor != 0 ? divisor : (float)imax(1, n * (k1 - k0)));
        MC_UNROLL for (int v = 0; v < VPB; v++)
          store(yr + ox * 16 + v * VL, clamp(acc[v] * scale, s.post.lo, s.post.hi));
      }
    }
  });
}

MC_INLINE void max_pool(Run& r, const Conv2d& s, const float* x, float* y, int y0, int y1) {
  pool<true>(r, s, 0, x, y, y0, y1);
}
MC_INLINE void average_pool(Run& r, const Conv2d& s, float divisor, const float* x, float* y, int y0, int y1) {
  pool<false>(r, s, divisor, x, y, y0, y1);
}

template <bool MAX>
MC_NOINLINE void global_pool(Run& r, int c, int pixels, size_t xs, size_t ys, const float* x, float* y) {
  parallel(r, ceil_div(c, 16), [&](int cb, int) {
    for (int v = 0; v < 16; v += VL) {
      const float* p = x + cb * xs + v;
      vf acc[8];
      MC_UNROLL for (int u = 0; u < 8; u++) acc[u] = MAX ? load(p) : vf{};
      int i = 0;
      for (; i + 8 <= pixels; i += 8, p += 128)
        MC_UNROLL for (int u = 0; u < 8; u++) acc[u] = MAX ? vmax(acc[u], load(p + u * 16)) : acc[u] + load(p + u * 16);
      for (; i < pixels; i++, p += 16) acc[0] = MAX ? vmax(acc[0], load(p)) : acc[0] + load(p);
      MC_UNROLL for (int u = 4; u > 0; u /= 2)
        MC_UNROLL for (int k = 0; k < u; k++) acc[k] = MAX ? vmax(acc[k], acc[k + u]) : acc[k] + acc[k + u];
      store(y + cb * ys + v, MAX ? acc[0] : acc[0] * splat(1.f / pixels));
    }
  });
}
MC_INLINE void global_average(Run& r, int c, int pixels, size_t xs, size_t ys, const float* x, float* y) {
  global_pool<false>(r, c, pixels, xs, ys, x, y);
}
MC_INLINE void global_max(Run& r, int c, int pixels, size_t xs, size_t ys, const float* x, float* y) {
  global_pool<true>(r, c, pixels, xs, ys, x, y);
}

}  // namespace
