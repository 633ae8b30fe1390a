// Grouped convolution, between dense and depthwise.
// needs: vec run ring parallel epilogue window strip tile direct
//
//   conv2d_groups(r, s, groups, x, w, side, y, y0, y1)     both widths multiples of 16: s.c, s.k, band and chunk are those
//                                                          of ONE group; weights of conv2d, group after group
//   conv2d_lanes<CG, KW, S>(r, s, x, w, side, y, y0, y1)   CG of {2, 4, 8} channels in and out a group, KW of {3, 5, 7},
//                                                          sx = S of {1, 2}, dx = 1, pads of a row < KW; no scratch;
//                                                          s.c = s.k all channels; weights [C/16][kh][CG][KW][16]:
//                                                          lane l, number j: from channel j of l's group to l
//   conv2d_grouped(r, s, groups, x, w, side, y, y0, y1)    any groups; s.c, s.k all channels; chunk = channels a step,
//                                                          a divisor of the group's and of 16; weights
//                                                          [K/16][input channels / chunk][kh * kw][chunk][16] over the
//                                                          channels of the groups that a block of 16 outputs touches.
//                                                          Plan and packing: grouped_plan(), pack_grouped()
namespace {

MC_NOINLINE void conv2d_groups(Run& r, const Conv2d& s, int groups, const float* x, const float* w, const Side& e, float* y,
                               int y0, int y1) {
  const size_t weights = (size_t)s.c * s.kh * s.kw * s.k;
  for (int g = 0; g < groups; g++) {
    const int in = s.c / 16, out = s.k / 16;
    const Side side{e.bias ? e.bias + g * s.k : nullptr, e.residual ? e.residual + g * out * s.post.rs : nullptr,
                    e.slope ? e.slope + g * s.k : nullptr};
    conv2d(r, s, x + g * in * s.xs, w + g * weights, side, y + g * out * s.ys, y0, y1);
  }
}

// Channel J of every lane's group of CG.
template <int CG, int J>
MC_INLINE vf group_channel(const float* p, int lane) {
  if constexpr (CG >= VL) {
    return splat(p[J - lane % CG]);
  } else {
    const vf v = load(p);
#define MC_LANE(i) ((i) / CG * CG + J)
#if MC_VL == 16
    return __builtin_shufflevector(v, v, MC_LANE(0), MC_LANE(1), MC_LANE(2), MC_LANE(3), MC_LANE(4), MC_LANE(5), MC_LANE(6),
                                   MC_LANE(7), MC_LANE(8), MC_LANE(9), MC_LANE(10), MC_LANE(11), MC_LANE(12), MC_LANE(13),
                                   MC_LANE(14), MC_LANE(15));
#elif MC_VL == 8
    return __builtin_shufflevector(v, v, MC_LANE(0), MC_LANE(1), MC_LANE(2), MC_LANE(3), MC_LANE(4), MC_LANE(5), MC_LANE(6),
                                   MC_LANE(7));
#else
    return __builtin_shufflevector(v, v, MC_LANE(0), MC_LANE(1), MC_LANE(2), MC_LANE(3));
#endif
#undef MC_LANE
  }
}

template <int CG, int J, int KW, int S, int MR>
MC_INLINE void lanes_row(vf* acc, const float* row, const float* w, int ix, int width, int lane) {
  vf wv[KW];
  MC_UNROLL for (int i = 0; i < KW; i++) wv[i] = load(w + (J * KW + i) * 16);
  MC_UNROLL for (int i = 0; i < (MR - 1) * S + KW; i++) {
    const float* p = row + i * 16;
    if (i < KW - 1) p = ix + i < 0 ? ZEROS + lane % CG : p;
    if (i > (MR - 1) * S) p = ix + i >= width ? ZEROS + lane % CG : p;
    vf v = group_channel<CG, J>(p, lane);
    MC_KEEP(v);
    MC_UNROLL for (int k = 0; k < KW; k++)
      if (i >= k && (i - k) % S == 0 && (i - k) / S < MR) acc[(i - k) / S] += v * wv[k];
  }
  MC_HIDE(row);
  if constexpr (J + 1 < CG) lanes_row<CG, J + 1, KW, S, MR>(acc, row, w, ix, width, lane);
}

template <int CG, int KW, int S, int MR>
MC_NOINLINE void lanes_tile(const float* const* rows, const float* const* wrows, int n, int ix, int w, int lane,
                            const float* bias, const float* res, float lo, float hi, float* y) {
  vf acc[MR];
  const vf b = load(bias);
  MC_UNROLL for (int m = 0; m < MR; m++) acc[m] = b;
  for (int ky = 0; ky < n; ky++) {
    const float* row = rows[ky] + (ptrdiff_t)ix * 16;
    MC_HIDE(row);
    lanes_row<CG, 0, KW, S, MR>(acc, row, wrows[ky], ix, w, lane);
  }
  const vf vlo = splat(lo), vhi = splat(hi);
  if (res) MC_UNROLL for (int m = 0; m < MR; m++) acc[m] += load(res + m * 16);
  MC_UNROLL for (int m = 0; m < MR; m++) store(y + m * 16, vmin(vhi, vmax(vlo, acc[m])));
}

template <int CG, int KW, int S>
MC_NOINLINE void conv2d_lanes(Run& r, const Conv2d& s, const float* x, const float* w, const Side& e, float* y, int y0,
                              int y1) {
  constexpr int MOST = imin(DEPTHWISE_PIXELS, DEPTHWISE_PIXELS < 14 ? 7 : 14);
  constexpr int HALF = ceil_div(MOST, 2);
  const int blocks = ceil_div(s.c, 16);
  const Split bands = row_bands(r, y1 - y0);
  const int pixels = s.ow >= MOST ? MOST : s.ow >= HALF ? HALF : 1;
  parallel(r, blocks * bands.parts, [&](int item, int) {
    const int band = item / blocks, cb = item % blocks;
    const Post& post = s.post;
    for (int oy = y0 + bands.begin(band); oy < y0 + bands.begin(band) + bands.size(band); oy++) {
      const float *rows[MAX_WINDOW_ROWS], *wrows[MAX_WINDOW_ROWS];
      int n = 0;
      for (int ky = 0; ky < s.kh; ky++) {
        const int iy = oy * s.sy - s.py + ky * s.dy;
        if (iy < 0 || iy >= s.h) continue;
        rows[n] = x + cb * s.xs + ring_row(iy, s.xring) * s.w * 16;
        wrows[n++] = w + ((size_t)cb * s.kh + ky) * CG * KW * 16;
      }
      float* yr = y + cb * s.ys + ring_row(oy, s.yring) * s.ow * 16;
      const float* rr = e.residual ? e.residual + cb * post.rs + ring_row(oy, post.rring) * s.ow * 16 : nullptr;
      for (int v = 0; v < 16; v += VL) {
        const float* bias = (e.bias ? e.bias + cb * 16 : ZEROS) + v;
        for (int i = 0; i < ceil_div(s.ow, pixels); i++) {
          const int ox = imin(i * pixels, s.ow - pixels);
          const float* res = rr && !post.after ? rr + ox * 16 + v : nullptr;
          const auto fn = pixels == MOST   ? lanes_tile<CG, KW, S, MOST>
                          : pixels == HALF ? lanes_tile<CG, KW, S, HALF>
                                           : lanes_tile<CG, KW, S, 1>;
          fn(rows, wrows, n, ox * S - s.px, s.w, v, bias, res, post.lo, post.hi, yr + ox * 16 + v);
        }
        for (int i = 0; i < n; i++) rows[i] += VL, wrows[i] += VL;
      }
      finish(post, yr, s.ys, 1, s.ow, e.slope ? e.slope + cb * 16 : nullptr, rr);
    }
  });
}

MC_NOINLINE void grouped_band(const Conv2d& s, int groups, const float* x, const float* w, const Side& e, float* y, int row,
                              int rows, float* scratch) {
  const int taps = s.kh * s.kw, units = ceil_div(s.c, 16), blocks = ceil_div(s.k, 16);
  const int gc = s.c / groups, gk = s.k / groups, step = s.chunk;
  const Strip t = strip_of(s, rows, 16);
  for (int u = 0; u < units; u++)
    for (int i = 0; i < t.rows; i++)
      strip_row<16>(s, t, x + u * s.xs, row * s.sy - s.py + i, scratch + u * t.block + i * t.row);
  ptrdiff_t* off = (ptrdiff_t*)(scratch + units * t.block);
  const Post& post = s.post;
  const Split split(s.ow, TILE_PIXELS);
  for (int k = 0; k < blocks; k++) {
    const int first = k * 16 / gk * gc, end = (imin(s.k, k * 16 + 16) - 1) / gk * gc + gc, n = (end - first) / step;
    for (int u = 0; u < n; u++)
      for (int i = 0; i < taps; i++) {
        const int c = first + u * step;
        off[u * taps + i] = (ptrdiff_t)(c / 16 * t.block + c % 16) + strip_tap(s, t, i, 16);
      }
    const Tile tl{off, n * taps, 0, step, 0, s.ys, post.rs, 0, 0, post.lo, post.hi};
    const float* b = e.bias ? e.bias + k * 16 : nullptr;
    for (int oy = 0; oy < rows; oy++) {
      float* yr = y + k * s.ys + ring_row(row + oy, s.yring) * s.ow * 16;
      const float* rr = e.residual ? e.residual + k * post.rs + ring_row(row + oy, post.rring) * s.ow * 16 : nullptr;
      for (int i = 0; i < split.parts; i++) {
        const int p = split.begin(i) * 16;
        panel_tile<16, false>(tl, split.size(i), 1, scratch + (size_t)oy * s.sy * t.row + p, w, b,
                              rr && !post.after ? rr + p : nullptr, yr + p);
      }
      finish(post, yr, s.ys, 1, s.ow, e.slope ? e.slope + k * 16 : nullptr, rr);
    }
    w += (size_t)n * step * taps * 16;
  }
}

MC_NOINLINE void conv2d_grouped(Run& r, const Conv2d& s, int groups, const float* x, const float* w, const Side& e, float* y,
                                int y0, int y1) {
  if (y1 <= y0) return;
  const int most = r.threads > 1 ? imax(1, imin(s.band, ceil_div(y1 - y0, 4 * r.threads))) : s.band;
  const Split bands(y1 - y0, most);
  parallel(r, bands.parts, [&](int b, int worker) {
    grouped_band(s, groups, x, w, e, y, y0 + bands.begin(b), bands.size(b), r.scratch(worker));
  });
}

}  // namespace
