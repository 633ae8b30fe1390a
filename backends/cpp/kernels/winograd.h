// 3x3 convolution of stride 1 by Winograd's minimal filtering, F(MxM, 3x3) for M of {2, 4, 5, 6}.
// needs: vec run ring parallel epilogue window tile toom
//
//   winograd_weights<M>(c, k, w, u)                  once, when the model is created: w [K/32][C][9][2][16] (an odd last block
//                                                    of 16 outputs has 1 for 2) to u [K/32][(M+2)^2][C][2][16]
//   winograd<M>(r, s, x, u, side, y, y0, y1)         kh = kw = 3, stride and dilation 1; any pads;
//                                                    rows [y0, y1), best a multiple of M
//     s.band      tile rows, and
//     s.chunk     tile columns whose transformed inputs are in scratch together: winograd_plan() of packing.py, scratch too
//   After Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.
namespace {

// What depends on the tile's side: everything else is one code, compiled once.
struct WinogradTile {
  int m, a;  // results and inputs on a side
  void (*filter)(const double* g, int step, double* o);
  void (*input)(const float* const* rows, const int* steps, int w, int left, int tiles, float* v, size_t vs);
  void (*output)(const float* m, size_t ms, const float* bias, const float* const* res, float lo, float hi, float* const* y,
                 int ox, int high, int wide);
};
constexpr int WINOGRAD_MOST = 6;      // results on a side of the largest tile
constexpr int WINOGRAD_COLUMNS = 30;  // of a row transformed together: neighbouring tiles share columns' first half

// One row of tiles of one 16-channel block, `tiles` of them: x's A rows to v[(A * A)][tile].
template <int M>
MC_NOINLINE void winograd_input(const float* const* rows, const int* steps, int w, int left, int tiles, float* v, size_t vs) {
  constexpr int A = M + 2, RUN = (WINOGRAD_COLUMNS - 2) / M, COLS = RUN * M + 2;
  vf t[COLS * A];
  for (int first = 0; first < tiles; first += RUN) {
    const int n = imin(RUN, tiles - first), cols = n * M + 2, x0 = first * M - left;
    for (int j = 0; j < cols; j++) {
      vf d[A];
      if (x0 + j < 0 || x0 + j >= w) {
        MC_UNROLL for (int i = 0; i < A; i++) t[j * A + i] = vf{};
        continue;
      }
      MC_UNROLL for (int i = 0; i < A; i++) d[i] = load(rows[i] + (ptrdiff_t)(x0 + j) * steps[i]);
      Toom<M, 3>::input(d, t + j * A);
    }
    for (int a = 0; a < n; a++)
      for (int i = 0; i < A; i++) {
        vf d[A], o[A];
        MC_UNROLL for (int j = 0; j < A; j++) d[j] = t[(a * M + j) * A + i];
        Toom<M, 3>::input(d, o);
        float* p = v + (size_t)(i * A) * vs + (first + a) * 16;
        MC_UNROLL for (int j = 0; j < A; j++) store(p + j * vs, o[j]);
      }
  }
}

// One tile of one block: m[(A * A)] to `high` x `wide` results.
template <class Transform>
MC_NOINLINE void winograd_output(const float* m, size_t ms, const float* bias, const float* const* res, float lo, float hi,
                                 float* const* y, int ox, int high, int wide) {
  constexpr int A = Transform::A, M = Transform::M;
  vf t[M][A];
  MC_UNROLL for (int j = 0; j < A; j++) {
    vf d[A], o[M];
    MC_UNROLL for (int i = 0; i < A; i++) d[i] = load(m + (i * A + j) * ms);
    Transform::output(d, o);
    MC_UNROLL for (int i = 0; i < M; i++) t[i][j] = o[i];
  }
  const vf b = load(bias), vlo = splat(lo), vhi = splat(hi);
  MC_UNROLL for (int i = 0; i < M; i++) {
    vf o[M];
    Transform::output(t[i], o);
    if (i >= high) break;
    float* p = y[i] + ox * 16;
    const float* q = res ? res[i] + ox * 16 : nullptr;
    MC_UNROLL for (int j = 0; j < M; j++) {
      if (j >= wide) break;
      vf v = o[j] + b;
      if (q) v += load(q + j * 16);
      store(p + j * 16, vmin(vhi, vmax(vlo, v)));
    }
  }
}

// `high` rows of `wide` tiles of block k: the products m to rows from `row` on, before `end`, and columns from `col` on.
MC_NOINLINE void winograd_results(const WinogradTile& tile, const Conv2d& s, const Side& e, const float* m, size_t ms,
                                  float* y, int k, int row, int high, int end, int col, int wide) {
  const int side = tile.m;
  const Post& post = s.post;
  const int results = imin(wide * side, s.ow - col);
  for (int a = 0; a < high; a++) {
    const int oy = row + a * side, rows = imin(side, end - oy);
    float* out[WINOGRAD_MOST];
    const float* res[WINOGRAD_MOST];
    for (int i = 0; i < rows; i++) {
      out[i] = y + k * s.ys + (ring_row(oy + i, s.yring) * s.ow + col) * 16;
      res[i] = e.residual ? e.residual + k * post.rs + (ring_row(oy + i, post.rring) * s.ow + col) * 16 : nullptr;
    }
    for (int l = 0; l < 16; l += VL) {
      const float* b = e.bias ? e.bias + k * 16 + l : ZEROS;
      for (int c = 0; c < wide; c++)
        tile.output(m + (a * wide + c) * 16 + l, ms, b, e.residual && !post.after ? res : nullptr, post.lo, post.hi, out,
                    c * side, rows, imin(side, results - c * side));
      for (int i = 0; i < rows; i++) {
        out[i] += VL;
        if (res[i]) res[i] += VL;
      }
    }
    for (int i = 0; i < rows; i++)
      finish(post, out[i] - 16, s.ys, 1, results, e.slope ? e.slope + k * 16 : nullptr, res[i] ? res[i] - 16 : nullptr);
  }
}

struct Winograd {
  const WinogradTile& tile;
  const Conv2d& s;
  const Side& e;
  const float *x, *u;
  float* y;
  int end;    // result rows stop here
  int row, col;          // first result of the block
  int high, wide;        // its rows and columns of tiles
  int tiles;
  size_t vs, ms;

  Winograd(const WinogradTile& kind, const Conv2d& shape, const Side& side, const float* in, const float* weights,
           float* out, int item, int parts, int first, int last)
      : tile(kind), s(shape), e(side), x(in), u(weights), y(out), end(last) {
    row = first + item / parts * s.band * tile.m;
    col = item % parts * s.chunk * tile.m;
    wide = imin(s.chunk, ceil_div(s.ow - col, tile.m));
    high = imin(s.band, ceil_div(last - row, tile.m));
    tiles = high * wide;
    // not a multiple of the cache's set stride
    vs = (size_t)ceil_div(s.c, 16) * tiles * 16 + 16;
    ms = (size_t)2 * tiles * 16 + 16;
  }

  void input(int cb, float* v) const {
    for (int a = 0; a < high; a++) {
      const int iy = row + a * tile.m - s.py;
      for (int q = 0; q < 16; q += VL) {
        const float* rows[WINOGRAD_MOST + 2];
        int steps[WINOGRAD_MOST + 2];
        for (int i = 0; i < tile.a; i++) {
          const bool inside = iy + i >= 0 && iy + i < s.h;
          rows[i] = inside ? x + cb * s.xs + ring_row(iy + i, s.xring) * s.w * 16 + q : ZEROS;
          steps[i] = inside ? 16 : 0;
        }
        tile.input(rows, steps, s.w, s.px - col, wide, v + ((size_t)cb * tiles + a * wide) * 16 + q, vs);
      }
    }
  }

  void panel(int q, const float* v, float* m) const {
    const int k = q * 2, nb = imin(2, ceil_div(s.k, 16) - k);
    const float* w = u + (size_t)q * tile.a * tile.a * s.c * 32;
    const Tile t{NO_TAPS, 1, s.c / 16, s.c % 16, (size_t)tiles * 16, (size_t)tiles * 16, 0, 0, 0, -INF, INF};
    const Split split(tiles, TILE_PIXELS);
    for (int i = 0; i < tile.a * tile.a; i++, w += (size_t)s.c * nb * 16)
      for (int j = 0; j < split.parts; j++) {
        const int p = split.begin(j) * 16;
        panel_tile<16, false>(t, split.size(j), nb, v + i * vs + p, w, nullptr, nullptr, m + i * ms + p);
      }
    for (int n = 0; n < nb; n++)
      winograd_results(tile, s, e, m + (size_t)n * tiles * 16, ms, y, k + n, row, high, end, col, wide);
  }
};

MC_NOINLINE MC_NOCLONE void winograd_tiled(Run& r, const WinogradTile& tile, const Conv2d& s, const float* x, const float* u,
                                           const Side& e, float* y, int y0, int y1) {
  const int points = tile.a * tile.a;
  const int inputs = ceil_div(s.c, 16), panels = ceil_div(ceil_div(s.k, 16), 2);
  const int parts = ceil_div(s.ow, s.chunk * tile.m);
  const int blocks = y1 > y0 ? ceil_div(y1 - y0, s.band * tile.m) * parts : 0;
  if (r.threads == 1 || blocks >= 4 * r.threads) {
    parallel(r, blocks, [&](int item, int worker) {
      const Winograd b(tile, s, e, x, u, y, item, parts, y0, y1);
      float *v = r.scratch(worker), *m = v + points * b.vs;
      for (int cb = 0; cb < inputs; cb++) b.input(cb, v);
      for (int q = 0; q < panels; q++) b.panel(q, v, m);
    });
    return;
  }
  // Panels are shared out. Every worker transforms the inputs for itself, which costs less than reading another's.
  const Split groups(panels, ceil_div(panels, 2 * r.threads));
  for (int i = 0; i < blocks; i++)
    parallel(r, groups.parts, [&](int item, int worker) {
      const Winograd b(tile, s, e, x, u, y, i, parts, y0, y1);
      float *v = r.scratch(worker), *m = v + points * b.vs;
      for (int cb = 0; cb < inputs; cb++) b.input(cb, v);
      for (int q = groups.begin(item); q < groups.begin(item) + groups.size(item); q++) b.panel(q, v, m);
    });
}

MC_NOINLINE MC_NOCLONE void winograd_tiled_weights(const WinogradTile& tile, int c, int k, const float* w, float* u) {
  const int blocks = ceil_div(k, 16), a = tile.a;
  for (int b = 0; b < blocks; b += 2) {
    const int lanes = imin(2, blocks - b) * 16;
    for (int ci = 0; ci < c; ci++)
      for (int i = 0; i < lanes; i++) {
        double g[9], t[WINOGRAD_MOST + 2][3], o[WINOGRAD_MOST + 2];
        for (int j = 0; j < 9; j++) g[j] = w[((size_t)ci * 9 + j) * lanes + i];
        for (int x = 0; x < 3; x++) {
          tile.filter(g + x, 3, o);
          for (int y = 0; y < a; y++) t[y][x] = o[y];
        }
        for (int y = 0; y < a; y++) {
          tile.filter(t[y], 1, o);
          for (int x = 0; x < a; x++) u[((size_t)(y * a + x) * c + ci) * lanes + i] = (float)o[x];
        }
      }
    w += (size_t)c * 9 * lanes;
    u += (size_t)c * a * a * lanes;
  }
}

template <int M>
constexpr WinogradTile WINOGRAD_TILE{M, M + 2, Toom<M, 3>::filter, winograd_input<M>, winograd_output<Toom<M, 3>>};
template <int M>
MC_INLINE void winograd_weights(int c, int k, const float* w, float* u) {
  winograd_tiled_weights(WINOGRAD_TILE<M>, c, k, w, u);
}
template <int M>
MC_INLINE void winograd(Run& r, const Conv2d& s, const float* x, const float* u, const Side& e, float* y, int y0, int y1) {
  winograd_tiled(r, WINOGRAD_TILE<M>, s, x, u, e, y, y0, y1);
}

}  // namespace
