// A network's first convolution: a large window that moves by two over a planar image. The rows and columns of either
// parity are images of their own, over which the window's taps of that parity move by one: Winograd's F(4x4, 4x4) on
// four times the channels, for windows of up to 8x8.
// needs: vec run parallel epilogue window tile winograd toom
//
//   stem_weights(c, k, kh, kw, w, u)          once, when the model is created: w of conv2d_planar [K/32][C][KH*KW][2][16] (an
//                                             odd last block of 16 outputs has 1 for 2) to u [K/32][49][4 C][2][16]
//   stem(r, s, x, u, side, y, y0, y1)         x float [C][H][W]; stride 2, dilation 1; rows [y0, y1), best a multiple of 4
//     s.band    result rows an item, and
//     s.chunk   tile columns that are transformed together: stem_plan() of packing.py, scratch too
namespace {

typedef Toom<4, 4> StemTransform;
constexpr WinogradTile STEM_TILE{StemTransform::M, StemTransform::A, nullptr, nullptr, winograd_output<StemTransform>};

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
        winograd_results(STEM_TILE, s, e, m + (size_t)n * wide * 16, ms, y, k + n, oy, 1, y1, col, wide);
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
