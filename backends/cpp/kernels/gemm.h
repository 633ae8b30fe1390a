// Products with one tap: 1x1 convolution, Linear, matrix product.
// needs: vec run ring parallel epilogue tile
//
//   struct Pointwise
//     c, k            input and output channels
//     w               pixels of a row (a sequence of tokens is one row)
//     xs, ys          floats between two 16-channel blocks of x / y
//     xring, yring    rows kept by the buffer of x / y, 0 = all
//     block           pixels of a cache block: gemm_block() of packing.py
//     scale           0: none; 1: folded into the weights; 2: into x   (squeeze-excite; pointwise_scaled only)
//     post            see epilogue
//   pointwise(r, s, x, w, side, y, y0, y1)            rows [y0, y1)
//   pointwise_scaled(r, s, x, scale, w, side, y, y0, y1)   x[c] * scale[c]; scratch: 16 * ceil(c / 16) * 32 floats for
//                                                     scale 1, 16 * ceil(c / 16) * block floats for scale 2
//   With w * (y1 - y0) = 1 both run the memory-bound path of a fully connected layer.
//   Weights [K/32][C][2][16]; an odd last block of 16 outputs is [C][1][16]. Rows are the real C: no padding.
namespace {

struct Pointwise {
  int c, k, w;
  size_t xs, ys;
  int xring, yring;
  int block;
  int scale;
  Post post;
};

// All panels [q0, q1) over `pixels` contiguous pixels.
MC_NOINLINE void gemm_block(const Pointwise& s, const float* x, const float* scale, float* scratch, const float* w,
                            const Side& e, float* y, const float* res, int pixels, int q0, int q1, size_t xs) {
  const Post& post = s.post;
  const bool late = post.after;
  Tile t{NO_TAPS, 1, s.c / 16, s.c % 16, xs, s.ys, post.rs, 0, 0, post.lo, post.hi};
  const int blocks = ceil_div(s.k, 16);
  const Split split(pixels, TILE_PIXELS);
  for (int q = q0; q < q1; q++) {
    const int k = q * 2, nb = imin(2, blocks - k);
    const float* wq = w + (size_t)q * s.c * 32;
    t.half = k + nb == blocks && s.k % 16 > 0 && s.k % 16 <= 8;
    if (scale) {
      float* o = scratch;
      for (int c = 0; c < s.c; c++) {
        const float f = scale[c];
        for (int i = 0; i < nb * 16; i += VL) store(o + i, load(wq + i) * f);
        wq += nb * 16, o += nb * 16;
      }
      wq = scratch;
    }
    const float* b = e.bias ? e.bias + k * 16 : nullptr;
    for (int i = 0; i < split.parts; i++) {
      const int p = split.begin(i) * 16, mr = split.size(i);
      float* yt = y + k * s.ys + p;
      const float* rt = res ? res + k * post.rs + p : nullptr;
      panel_tile<16, false>(t, mr, nb, x + p, wq, b, late ? nullptr : rt, yt);
      finish(post, yt, s.ys, nb, mr, e.slope ? e.slope + k * 16 : nullptr, rt);
    }
  }
}

// One pixel: every weight is used once, so one linear stream of loads with enough independent sums.
MC_NOINLINE void one_pixel(const float* x, int c, size_t xs, const float* __restrict w, int nb, const float* bias,
                           float* __restrict out) {
  constexpr int U = VL == 4 ? 1 : 4 * VL / 16;  // steps in flight
  for (int half = 0; half < (VL == 4 ? nb : 1); half++) {
    const int nv = VL == 4 ? 1 : nb;
    const size_t ws = nb * 16;
    const float* p = w + half * 16;
    vf acc[U][2 * VPB];
    MC_UNROLL for (int u = 0; u < U; u++) MC_UNROLL for (int v = 0; v < 2 * VPB; v++) acc[u][v] = vf{};
    const int lanes = nv * VPB;
    for (int c0 = 0; c0 < c; c0 += 16) {
      const int n = imin(16, c - c0);
      int i = 0;
      if (lanes == 2 * VPB) {
        for (; i + U <= n; i += U) {
          MC_UNROLL for (int u = 0; u < U; u++) {
            const vf xv = splat(x[i + u]);
            __builtin_prefetch(p + u * ws + 1024, 0, 2);
            __builtin_prefetch(p + u * ws + 1024 + 16, 0, 2);
            MC_UNROLL for (int v = 0; v < 2 * VPB; v++) acc[u][v] += xv * load(p + u * ws + v * VL);
          }
          p += U * ws;
        }
      }
      for (; i < n; i++, p += ws) {
        const vf xv = splat(x[i]);
        MC_UNROLL for (int v = 0; v < VPB; v++) acc[0][v] += xv * load(p + v * VL);
        if (lanes == 2 * VPB) MC_UNROLL for (int v = VPB; v < 2 * VPB; v++) acc[0][v] += xv * load(p + v * VL);
      }
      x += xs;
    }
    if (VL == 4) x -= (size_t)ceil_div(c, 16) * xs;
    for (int v = 0; v < lanes; v++) {
      vf sum = bias ? load(bias + half * 16 + v * VL) : vf{};
      for (int u = 0; u < U; u++) sum += acc[u][v];
      store(out + half * 16 + v * VL, sum);
    }
  }
}

MC_NOINLINE void fully_connected(Run& r, const Pointwise& s, const float* x, const float* w, const Side& e, float* y,
                                 const float* res) {
  const int blocks = ceil_div(s.k, 16), panels = ceil_div(blocks, 2);
  const Post& post = s.post;
  const Split split(panels, r.threads == 1 ? panels : imax(1, panels / (8 * r.threads)));
  parallel(r, split.parts, [&](int item, int) {
    for (int q = split.begin(item); q < split.begin(item) + split.size(item); q++) {
      const int k = q * 2, nb = imin(2, blocks - k);
      alignas(64) float out[32];
      one_pixel(x, s.c, s.xs, w + (size_t)q * s.c * 32, nb, e.bias ? e.bias + k * 16 : nullptr, out);
      for (int n = 0; n < nb; n++) {
        float* o = y + (k + n) * s.ys;
        const float* rn = res ? res + (k + n) * post.rs : nullptr;
        for (int i = 0; i < 16; i += VL) {
          vf v = load(out + n * 16 + i);
          if (rn && !post.after) v += load(rn + i);
          store(o + i, clamp(v, post.lo, post.hi));
        }
        finish(post, o, s.ys, 1, 1, e.slope ? e.slope + (k + n) * 16 : nullptr, rn);
      }
    }
  });
}

MC_NOINLINE void pointwise_scaled(Run& r, const Pointwise& s, const float* x, const float* scale, const float* w,
                                  const Side& e, float* y, int y0, int y1) {
  const int panels = ceil_div(ceil_div(s.k, 16), 2);
  for (int row = y0, rows; row < y1; row += rows) {
    rows = rows_until_wrap(row, y1, s.xring, s.yring, e.residual ? s.post.rring : 0);
    const int pixels = rows * s.w;
    const float* xr = x + ring_row(row, s.xring) * s.w * 16;
    float* yr = y + ring_row(row, s.yring) * s.w * 16;
    const float* rr = e.residual ? e.residual + ring_row(row, s.post.rring) * s.w * 16 : nullptr;
    if (pixels == 1 && !scale) {
      fully_connected(r, s, xr, w, e, yr, rr);
      continue;
    }
    int most = imax(1, s.block);
    if (r.threads > 1) most = imin(most, imax(2 * TILE_PIXELS, ceil_div(pixels, 8 * r.threads)));
    const Split parts(pixels, most);
    const int want = r.threads > 1 ? imin(panels, ceil_div(8 * r.threads, parts.parts)) : 1;
    const Split groups(panels, ceil_div(panels, want));
    parallel(r, parts.parts * groups.parts, [&](int item, int worker) {
      const int p = item / groups.parts, g = item % groups.parts, n = parts.size(p), q = groups.begin(g);
      const size_t first = (size_t)parts.begin(p) * 16;
      const float* xp = xr + first;
      size_t xs = s.xs;
      float* scratch = scale ? r.scratch(worker) : nullptr;
      if (scale && s.scale == 2) {
        for (int cb = 0; cb < ceil_div(s.c, 16); cb++)
          for (int i = 0; i < 16; i += VL) {
            const vf f = load(scale + cb * 16 + i);
            for (int m = 0; m < n; m++) store(scratch + ((size_t)cb * n + m) * 16 + i, load(xp + cb * s.xs + m * 16 + i) * f);
          }
        xp = scratch, xs = (size_t)n * 16;
      }
      gemm_block(s, xp, s.scale == 1 ? scale : nullptr, scratch, w, e, yr + first, rr ? rr + first : nullptr, n, q,
                 q + groups.size(g), xs);
    });
  }
}

MC_INLINE void pointwise(Run& r, const Pointwise& s, const float* x, const float* w, const Side& e, float* y, int y0,
                         int y1) {
  pointwise_scaled(r, s, x, nullptr, w, e, y, y0, y1);
}

}  // namespace
