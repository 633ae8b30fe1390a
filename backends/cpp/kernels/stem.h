// A network's first convolution: a large window that moves by two over a planar image. The rows and columns of either
// parity are images of their own, over which the window's taps of that parity move by one: Winograd's F(4x4, 4x4) on
// four times the channels, for windows of up to 8x8.
// needs: vec run parallel epilogue window tile winograd
//
//   stem_weights(c, k, kh, kw, w, u)          once, when the model is created: w of conv2d_planar [K/32][C][KH*KW][2][16] (an
//                                             odd last block of 16 outputs has 1 for 2) to u [K/32][49][4 C][2][16]
//   stem(r, s, x, u, side, y, y0, y1)         x float [C][H][W]; stride 2, dilation 1; rows [y0, y1), best a multiple of 4
//     s.band    result rows an item, and
//     s.chunk   tile columns that are transformed together: stem_plan() of packing.py, scratch too
//   The points are infinity and plus and minus 3/8, 1 and 7/4, which of those tried leave the least error.
namespace {

struct StemTransform {
  static constexpr int A = 7, M = 4, R = 4, PAIRS = 3;
  static constexpr double point(int i) { return i == 0 ? 0.375 : i == 1 ? 1 : 1.75; }
  // Rows of the input's transform are scaled by powers of two so that no coefficient is above 1.1.
  static constexpr double scale(int i) { return i == 2 ? 0.5 : 0.25; }
  static constexpr double square(int i) { return point(i % PAIRS) * point(i % PAIRS); }

  template <int I>
  MC_INLINE void pair(const vf* d, vf* o) {
    constexpr double a = point(I), sum = square(I + 1) + square(I + 2), product = square(I + 1) * square(I + 2);
    constexpr float S = (float)scale(I), S2 = (float)(-scale(I) * sum), S0 = (float)(scale(I) * product);
    constexpr float T = (float)(scale(I) * a), T2 = (float)(-scale(I) * a * sum), T0 = (float)(scale(I) * a * product);
    const vf odd = S * d[5] + S2 * d[3] + S0 * d[1], even = T * d[4] + T2 * d[2] + T0 * d[0];
    o[2 * I] = odd + even;
    o[2 * I + 1] = odd - even;
  }
  MC_INLINE void input(const vf* d, vf* o) {
    constexpr double one = square(0) + square(1) + square(2);
    constexpr double two = square(0) * square(1) + square(1) * square(2) + square(2) * square(0);
    constexpr double three = square(0) * square(1) * square(2);
    pair<0>(d, o);
    pair<1>(d, o);
    pair<2>(d, o);
    o[6] = 0.25f * d[6] + (float)(-0.25 * one) * d[4] + (float)(0.25 * two) * d[2] + (float)(-0.25 * three) * d[0];
  }
  MC_INLINE void output(const vf* m, vf* o) {
    constexpr float A0 = (float)point(0), A2 = (float)point(2), A00 = (float)square(0), A22 = (float)square(2);
    const vf s0 = m[0] + m[1], s1 = m[2] + m[3], s2 = m[4] + m[5], t0 = m[0] - m[1], t1 = m[2] - m[3], t2 = m[4] - m[5];
    o[0] = s0 + s1 + s2;
    o[1] = t1 + A0 * t0 + A2 * t2;
    o[2] = s1 + A00 * s0 + A22 * s2;
    o[3] = t1 + A0 * A00 * t0 + A2 * A22 * t2 + m[6];
  }
  static void filter(const double* g, int step, double* o) {
    for (int i = 0; i < PAIRS; i++) {
      const double a = point(i), aa = a * a, all = 2 * a * (aa - square(i + 1)) * (aa - square(i + 2)) * scale(i);
      const double even = (g[0] + aa * g[2 * step]) / all, odd = a * (g[step] + aa * g[3 * step]) / all;
      o[2 * i] = even + odd;
      o[2 * i + 1] = odd - even;
    }
    o[6] = g[3 * step] / 0.25;
  }
};

constexpr int STEM_ROWS = 14, STEM_RING = 16;  // rows of x below a row of tiles, and rows kept

MC_NOINLINE void stem_weights(int c, int k, int kh, int kw, const float* w, float* u) {
  constexpr int A = StemTransform::A, R = StemTransform::R;
  const int blocks = ceil_div(k, 16), taps = kh * kw;
  for (int b = 0; b < blocks; b += 2) {
    const int lanes = imin(2, blocks - b) * 16;
    for (int ci = 0; ci < 4 * c; ci++)
      for (int i = 0; i < lanes; i++) {
        double g[R * R], t[A][R], o[A];
        for (int j = 0; j < R * R; j++) {
          const int ky = j / R * 2 + ci / 2 % 2, kx = j % R * 2 + ci % 2;
          g[j] = ky < kh && kx < kw ? w[((size_t)ci / 4 * taps + ky * kw + kx) * lanes + i] : 0;
        }
        for (int x = 0; x < R; x++) {
          StemTransform::filter(g + x, R, o);
          for (int y = 0; y < A; y++) t[y][x] = o[y];
        }
        for (int y = 0; y < A; y++) {
          StemTransform::filter(t[y], 1, o);
          for (int x = 0; x < A; x++) u[((size_t)(y * A + x) * 4 * c + ci) * lanes + i] = (float)o[x];
        }
      }
    w += (size_t)c * taps * lanes;
    u += (size_t)4 * c * A * A * lanes;
  }
}

// Row iy of x, from column `first` on, by remainders of eight: d[r][t] = x[first + 8 t + r], zeros outside.
MC_NOINLINE void stem_row(const Conv2d& s, const float* x, int iy, int first, int tiles, float* d, int ds) {
  for (int r = 0; r < 8; r++, d += ds) {
    const bool inside = iy >= 0 && iy < s.h;
    const int begin = imin(tiles, first + r < 0 ? ceil_div(-first - r, 8) : 0);
    const int end = inside && first + r < s.w ? imax(begin, imin(tiles, ceil_div(s.w - first - r, 8))) : begin;
    for (int t = 0; t < begin; t++) d[t] = 0;
    const float* from = x + (ptrdiff_t)iy * s.w + first + r;
    for (int t = begin; t < end; t++) d[t] = from[t * 8];
    for (int t = end; t < ds; t++) d[t] = 0;
  }
}

// The tiles of result rows [row, row + 4) and a chunk of columns: the rows of x in d to v[49][4 C][vs].
MC_NOINLINE void stem_input(int c, const float* d, int ds, int base, float* t, float* v, int vs) {
  constexpr int A = StemTransform::A;
  const size_t point = (size_t)4 * c * vs;
  for (int ci = 0; ci < c; ci++)
    for (int py = 0; py < 2; py++) {
      const float* from[A];
      for (int j = 0; j < A; j++) from[j] = d + (ptrdiff_t)(ci * STEM_RING + (base + 2 * j + py) % STEM_RING) * 8 * ds;
      for (int q = 0; q < 8 * ds; q += VL) {
        vf a[A], o[A];
        MC_UNROLL for (int j = 0; j < A; j++) a[j] = load(from[j] + q);
        StemTransform::input(a, o);
        MC_UNROLL for (int j = 0; j < A; j++) store(t + j * 8 * ds + q, o[j]);
      }
      for (int i = 0; i < A; i++)
        for (int px = 0; px < 2; px++) {
          const float* row = t + i * 8 * ds;
          float* out = v + i * A * point + (ci * 4 + py * 2 + px) * vs;
          for (int q = 0; q < vs; q += VL) {
            vf a[A], o[A];
            MC_UNROLL for (int j = 0; j < A; j++) a[j] = loadu(row + (2 * j + px) % 8 * ds + (2 * j + px) / 8 + q);
            StemTransform::input(a, o);
            MC_UNROLL for (int j = 0; j < A; j++) store(out + j * point + q, o[j]);
          }
        }
    }
}

// Result rows [y0, y1) of the tile columns from `col` on.
MC_NOINLINE void stem_band(const Conv2d& s, const float* x, const float* u, const Side& e, float* y, int y0, int y1, int col,
                           float* scratch) {
  constexpr int M = StemTransform::M, A2 = StemTransform::A * StemTransform::A;
  const int wide = imin(s.chunk, ceil_div(s.ow - col, M)), inputs = 4 * s.c, blocks = ceil_div(s.k, 16);
  const int vs = ceil_div(wide, 16) * 16, ds = vs + 16;
  const size_t ms = (size_t)2 * wide * 16 + 16;
  ptrdiff_t* off = (ptrdiff_t*)scratch;
  float* d = scratch + ceil_div(inputs * (int)sizeof(ptrdiff_t), 64) * 16;
  float *t = d + s.c * STEM_RING * 8 * ds, *v = t + StemTransform::A * 8 * ds, *m = v + A2 * inputs * vs;
  for (int i = 0; i < inputs; i++) off[i] = (ptrdiff_t)i * vs;
  const Tile tile{off, inputs, 1, 0, 0, (size_t)wide * 16, 0, 0, 0, -INF, INF};
  const Split split(wide, TILE_PIXELS);
  int kept = 0;
  for (int oy = y0; oy < y1; oy += M) {
    const int base = 2 * (oy - y0);
    for (; kept < base + STEM_ROWS; kept++)
      for (int ci = 0; ci < s.c; ci++)
        stem_row(s, x + ci * s.xs, 2 * y0 - s.py + kept, 2 * col - s.px, wide + 1,
                 d + (ptrdiff_t)(ci * STEM_RING + kept % STEM_RING) * 8 * ds, ds);
    stem_input(s.c, d, ds, base, t, v, vs);
    const float* w = u;
    for (int k = 0; k < blocks; k += 2) {
      const int nb = imin(2, blocks - k);
      for (int i = 0; i < A2; i++, w += (size_t)inputs * nb * 16)
        for (int j = 0; j < split.parts; j++) {
          const int p = split.begin(j);
          panel_tile<1, false>(tile, split.size(j), nb, v + i * inputs * vs + p, w, nullptr, nullptr, m + i * ms + p * 16);
        }
      for (int n = 0; n < nb; n++)
        winograd_results<StemTransform>(s, e, m + (size_t)n * wide * 16, ms, y, k + n, oy, 1, y1, col, wide);
    }
  }
}

MC_NOINLINE void stem(Run& r, const Conv2d& s, const float* x, const float* u, const Side& e, float* y, int y0, int y1) {
  constexpr int M = StemTransform::M;
  if (y1 <= y0) return;
  const int columns = ceil_div(s.ow, s.chunk * M), most = imax(1, s.band / M);
  const Split bands(ceil_div(y1 - y0, M), r.threads > 1 ? imin(most, ceil_div(y1 - y0, 4 * M * r.threads)) : most);
  parallel(r, bands.parts * columns, [&](int item, int worker) {
    const int band = item / columns, begin = y0 + bands.begin(band) * M;
    stem_band(s, x, u, e, y, begin, imin(y1, begin + bands.size(band) * M), item % columns * s.chunk * M, r.scratch(worker));
  });
}

}  // namespace
