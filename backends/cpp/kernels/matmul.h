// Matrix products of two results.
// needs: vec run parallel epilogue tile
//
//   struct MatMul        y[b] = post(x[b] * z[b]), all planar: x [m][k], z [k][n] (or [n][k] with zt), y [m][n]
//     m, n, k, batch     batch products; xb, zb, yb floats between two of them (0: the same again)
//     xr, zr, yr         floats between two rows
//     zt                 1: z is stored [n][k]
//     post               clamp and activation only
//   matmul(r, s, x, z, y)          scratch per worker: matmul_scratch()
namespace {

// Rows of z as the weights of the tile: [n/32][k][2][16], zeros beyond n. Element (c, o) is z[c * cs + o * os].
MC_NOINLINE void pack_columns(const float* z, size_t cs, size_t os, int k, int n, float* w) {
  for (int o = 0; o < n; o += 32) {
    const int lanes = n - o > 16 ? 32 : 16, real = imin(lanes, n - o);
    for (int c = 0; c < k; c++, w += lanes) {
      const float* p = z + c * cs + o * os;
      if (os == 1) {
        memcpy(w, p, (size_t)real * sizeof(float));
      } else {
        for (int i = 0; i < real; i++) w[i] = p[i * os];
      }
      for (int i = real; i < lanes; i++) w[i] = 0;
    }
  }
}

// pixels x n results from packed columns; y blocked with stride ys.
MC_NOINLINE void product(const float* x, size_t xs, int k, const float* w, int n, int pixels, float* y, size_t ys) {
  const Tile t{NO_TAPS, 1, k / 16, k % 16, xs, ys, 0, 0, 0, -INF, INF};
  const Split split(pixels, TILE_PIXELS);
  const int blocks = ceil_div(n, 16);
  for (int b = 0; b < blocks; b += 2) {
    const int nb = imin(2, blocks - b);
    for (int i = 0; i < split.parts; i++) {
      const size_t p = (size_t)split.begin(i) * 16;
      panel_tile<16, false>(t, split.size(i), nb, x + p, w + (size_t)b * k * 16, nullptr, nullptr, y + b * ys + p);
    }
  }
}

struct MatMul {
  int m, n, k, batch;
  size_t xb, zb, yb;
  size_t xr, zr, yr;
  int zt;
  Post post;
};

MC_NOINLINE void matmul(Run& r, const MatMul& s, const float* x, const float* z, float* y) {
  constexpr int ROWS = 8 * 14;
  const int kb = ceil_div(s.k, 16), nb = ceil_div(s.n, 16);
  const int parts = r.threads > 1 && s.batch < 2 * r.threads ? imin(ceil_div(s.m, TILE_PIXELS), 2 * r.threads) : 1;
  const Split share(s.m, ceil_div(s.m, parts));
  parallel(r, s.batch * share.parts, [&](int item, int worker) {
    const int b = item / share.parts, part = item % share.parts;
    float* w = r.scratch(worker);
    float *xs = w + (size_t)s.k * nb * 16, *ys = xs + (size_t)kb * ROWS * 16;
    if (s.zt) pack_columns(z + b * s.zb, 1, s.zr, s.k, s.n, w);
    else pack_columns(z + b * s.zb, s.zr, 1, s.k, s.n, w);
    const int end = share.begin(part) + share.size(part);
    for (int row = share.begin(part); row < end; row += ROWS) {
      const int n = imin(ROWS, end - row);
      for (int i = 0; i < n; i++) {
        const float* p = x + b * s.xb + (size_t)(row + i) * s.xr;
        for (int c = 0; c < s.k; c += 16)
          memcpy(xs + ((size_t)c / 16 * n + i) * 16, p + c, (size_t)imin(16, s.k - c) * sizeof(float));
      }
      product(xs, (size_t)n * 16, s.k, w, s.n, n, ys, (size_t)n * 16);
      for (int i = 0; i < nb * n * 16; i += VL) store(ys + i, clamp(load(ys + i), s.post.lo, s.post.hi));
      activate(ys, nb * n * 16, s.post, nullptr);
      for (int i = 0; i < n; i++) {
        float* p = y + b * s.yb + (size_t)(row + i) * s.yr;
        for (int c = 0; c < s.n; c += 16)
          memcpy(p + c, ys + ((size_t)c / 16 * n + i) * 16, (size_t)imin(16, s.n - c) * sizeof(float));
      }
    }
  });
}

}  // namespace
