// Depthwise convolution: every channel with its own KH x KW filter.
// needs: vec run ring parallel epilogue window
//
//   depthwise<KW, S>(r, s, x, w, side, y, y0, y1)   KW of {3, 5, 7}, sx = S of {1, 2}, dx = 1, px < KW; any kh, sy, dy, py
//   depthwise_any(r, s, x, w, side, y, y0, y1)      everything else
//   s.c = s.k channels; rows [y0, y1); no scratch. side.residual must not be y. Weights [C/16][KH*KW][16].
namespace {

// MR neighbouring results of one row. Each column is loaded once and serves all its taps.
template <int KW, int S, int MR>
MC_NOINLINE void depthwise_tile(const float* const* rows, const float* const* wrows, int n, int ix, int w, const float* bias,
                                const float* res, float lo, float hi, float* y) {
  vf acc[MR];
  const vf b = load(bias);
  MC_UNROLL for (int m = 0; m < MR; m++) acc[m] = b;
  for (int ky = 0; ky < n; ky++) {
    const float* row = rows[ky] + (ptrdiff_t)ix * 16;
    MC_HIDE(row);
    vf wv[KW];
    MC_UNROLL for (int i = 0; i < KW; i++) wv[i] = load(wrows[ky] + i * 16);
    MC_UNROLL for (int i = 0; i < (MR - 1) * S + KW; i++) {
      const float* p = row + i * 16;
      if (i < KW - 1) p = ix + i < 0 ? ZEROS : p;
      if (i > (MR - 1) * S) p = ix + i >= w ? ZEROS : p;
      vf v = load(p);
      MC_KEEP(v);
      MC_UNROLL for (int k = 0; k < KW; k++)
        if (i >= k && (i - k) % S == 0 && (i - k) / S < MR) acc[(i - k) / S] += v * wv[k];
    }
  }
  const vf vlo = splat(lo), vhi = splat(hi);
  if (res) MC_UNROLL for (int m = 0; m < MR; m++) acc[m] += load(res + m * 16);
  MC_UNROLL for (int m = 0; m < MR; m++) store(y + m * 16, vmin(vhi, vmax(vlo, acc[m])));
}

typedef void (*DepthwiseTile)(const float* const*, const float* const*, int, int, int, const float*, const float*, float,
                              float, float*);
struct DepthwiseChoice {
  int pixels, parts;
  DepthwiseTile fn;
};
// The tile that covers a row with the fewest results, of those that fit; the last one may overlap its neighbour.
template <int KW, int S>
MC_INLINE DepthwiseChoice depthwise_choice(int ow) {
  // 16 registers hold the results, a row of the filter, a column and a spare
  constexpr int pixels = S == 1 ? DEPTHWISE_PIXELS : DEPTHWISE_APART;
  constexpr int most = DEPTHWISE_PIXELS < 14 ? imin(pixels, 14 - KW) : pixels;
#define MC_DW(n) {n, 0, n <= most ? depthwise_tile<KW, S, n <= most ? n : 1> : nullptr}
  static constexpr DepthwiseChoice all[] = {MC_DW(14), MC_DW(10), MC_DW(8), MC_DW(7),
                                            MC_DW(5),  MC_DW(4),  MC_DW(2), MC_DW(1)};
#undef MC_DW
  DepthwiseChoice best{0, 0, nullptr};
  for (const DepthwiseChoice& c : all) {
    if (!c.fn || c.pixels > ow) continue;
    const int parts = ceil_div(ow, c.pixels);
    if (!best.fn || parts * (c.pixels + 1) < best.parts * (best.pixels + 1)) best = {c.pixels, parts, c.fn};
  }
  return best;
}

template <int KW, int S>
MC_NOINLINE void depthwise(Run& r, const Conv2d& s, const float* x, const float* w, const Side& e, float* y, int y0, int y1) {
  const int blocks = ceil_div(s.c, 16);
  const DepthwiseChoice tile = depthwise_choice<KW, S>(s.ow);
  const Split bands = row_bands(r, y1 - y0);
  parallel(r, blocks * bands.parts, [&](int item, int) {
    const int band = item / blocks, cb = item % blocks;
    const int first = y0 + bands.begin(band), end = first + bands.size(band);
    const Post& post = s.post;
    const float* bias = e.bias ? e.bias + cb * 16 : ZEROS;
    for (int oy = first; oy < end; oy++) {
      const float *rows[MAX_WINDOW_ROWS], *wrows[MAX_WINDOW_ROWS];
      int n = 0;
      for (int ky = 0; ky < s.kh; ky++) {
        const int iy = oy * s.sy - s.py + ky * s.dy;
        if (iy < 0 || iy >= s.h) continue;
        rows[n] = x + cb * s.xs + ring_row(iy, s.xring) * s.w * 16;
        wrows[n++] = w + ((size_t)cb * s.kh + ky) * KW * 16;
      }
      float* yr = y + cb * s.ys + ring_row(oy, s.yring) * s.ow * 16;
      const float* rr = e.residual ? e.residual + cb * post.rs + ring_row(oy, post.rring) * s.ow * 16 : nullptr;
      for (int v = 0; v < 16; v += VL) {
        for (int i = 0; i < tile.parts; i++) {
          const int ox = imin(i * tile.pixels, s.ow - tile.pixels);
          tile.fn(rows, wrows, n, ox * S - s.px, s.w, bias + v, rr && !post.after ? rr + ox * 16 + v : nullptr, post.lo,
                  post.hi, yr + ox * 16 + v);
        }
        for (int i = 0; i < n; i++) rows[i] += VL, wrows[i] += VL;
      }
      finish(post, yr, s.ys, 1, s.ow, e.slope ? e.slope + cb * 16 : nullptr, rr);
    }
  });
}

MC_NOINLINE void depthwise_any(Run& r, const Conv2d& s, const float* x, const float* w, const Side& e, float* y, int y0,
                               int y1) {
  parallel(r, ceil_div(s.c, 16), [&](int cb, int) {
    const Post& post = s.post;
    for (int oy = y0; oy < y1; oy++) {
      float* yr = y + cb * s.ys + ring_row(oy, s.yring) * s.ow * 16;
      const float* rr = e.residual ? e.residual + cb * post.rs + ring_row(oy, post.rring) * s.ow * 16 : nullptr;
      for (int ox = 0; ox < s.ow; ox++) {
        vf acc[VPB];
        MC_UNROLL for (int v = 0; v < VPB; v++) acc[v] = e.bias ? load(e.bias + cb * 16 + v * VL) : vf{};
        for (int ky = 0; ky < s.kh; ky++) {
          const int iy = oy * s.sy - s.py + ky * s.dy;
          if (iy < 0 || iy >= s.h) continue;
          const float* row = x + cb * s.xs + ring_row(iy, s.xring) * s.w * 16;
          for (int kx = 0; kx < s.kw; kx++) {
            const int ix = ox * s.sx - s.px + kx * s.dx;
            if (ix < 0 || ix >= s.w) continue;
            const float* wk = w + (((size_t)cb * s.kh + ky) * s.kw + kx) * 16;
            MC_UNROLL for (int v = 0; v < VPB; v++) acc[v] += load(row + ix * 16 + v * VL) * load(wk + v * VL);
          }
        }
        MC_UNROLL for (int v = 0; v < VPB; v++) {
          if (rr && !post.after) acc[v] += load(rr + ox * 16 + v * VL);
          store(yr + ox * 16 + v * VL, clamp(acc[v], post.lo, post.hi));
        }
      }
      finish(post, yr, s.ys, 1, s.ow, e.slope ? e.slope + cb * 16 : nullptr, rr);
    }
  });
}

}  // namespace
