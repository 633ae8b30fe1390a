// Dense convolution of any kernel, stride, dilation and padding.
// needs: vec run ring parallel epilogue window strip tile
//
//   conv2d(r, s, x, w, side, y, y0, y1)           blocked x; result rows [y0, y1)
//   conv2d_planar(r, s, x, w, side, y, y0, y1)    x is float [C][H][W]
//   Scratch, band and chunk: conv2d_plan() of packing.py.
//   Weights [K/32][C/16][KH*KW][16][2][16], planar x [K/32][C][KH*KW][2][16]; an odd last block of 16 outputs has 1 for 2,
//   a last input block of t < 16 channels has t for 16.
namespace {

// Panels [q0, q1) of result rows [row, row + rows).
template <int PS>
MC_NOINLINE void conv_band(const Conv2d& s, const float* x, const float* w, const Side& e, float* y, int row, int rows,
                           int q0, int q1, float* scratch) {
  const int taps = s.kh * s.kw, units = PS == 16 ? ceil_div(s.c, 16) : s.c, blocks = ceil_div(s.k, 16);
  ptrdiff_t* off = (ptrdiff_t*)scratch;
  scratch += ceil_div(taps * (int)sizeof(ptrdiff_t), 64) * 16;
  Strip t = strip_of(s, rows, PS);
  const int top = row * s.sy - s.py;
  const bool inside = s.sx == 1 && s.px == 0 && s.xring == 0 && top >= 0 && top + t.rows <= s.h && t.cols <= s.w;
  if (inside) {
    t.phase = t.row = (size_t)s.w * PS;
    t.block = s.xs;
    x += (ptrdiff_t)top * s.w * PS;
  } else {
    for (int u = 0; u < units; u++)
      for (int i = 0; i < t.rows; i++) strip_row<PS>(s, t, x + u * s.xs, top + i, scratch + u * t.block + i * t.row);
    x = scratch;
  }
  for (int i = 0; i < taps; i++) off[i] = strip_tap(s, t, i, PS);
  const Post& post = s.post;
  const bool pairs = TILE_BLOCKS == 2 && PS == 16 && s.ow * 2 <= TILE_PIXELS;
  const Split split(s.ow, TILE_PIXELS);
  const size_t last = PS == 16 && s.c % 16 ? s.c % 16 : 16;
  const size_t panel = (PS == 16 ? (size_t)(units - 1) * 16 + last : s.c) * taps * 32;
  for (int u = 0; u < units; u += s.chunk) {
    const int n = imin(s.chunk, units - u);
    const bool end = u + n == units;
    const int tail = PS == 16 && end ? s.c % 16 : 0;
    const Tile tl{off, taps, n - (tail > 0), tail, t.block, s.ys, post.rs, (ptrdiff_t)(s.sy * t.row) - s.ow * PS, u > 0,
                  end ? post.lo : -INF, end ? post.hi : INF};
    for (int q = q0; q < q1; q++) {
      const int k = q * 2, nb = imin(2, blocks - k);
      const float* wq = w + q * panel + (size_t)u * (PS == 16 ? 16 : 1) * taps * nb * 16;
      const float* b = e.bias ? e.bias + k * 16 : nullptr;
      const float* slope = e.slope ? e.slope + k * 16 : nullptr;
      for (int oy = 0; oy < rows; oy++) {
        const float* xr = x + u * t.block + (size_t)oy * s.sy * t.row;
        float* yr = y + k * s.ys + ring_row(row + oy, s.yring) * s.ow * 16;
        const float* rr = e.residual && end ? e.residual + k * post.rs + ring_row(row + oy, post.rring) * s.ow * 16 : nullptr;
        if (pairs && nb == 2 && oy + 1 < rows && (!s.yring || (row + oy) % s.yring + 1 < s.yring) &&
            (!rr || !post.rring || (row + oy) % post.rring + 1 < post.rring)) {
          panel_tile<PS, TILE_BLOCKS == 2 && PS == 16>(tl, s.ow * 2, nb, xr, wq, b, post.after ? nullptr : rr, yr);
          if (end) finish(post, yr, s.ys, nb, s.ow * 2, slope, rr);
          oy++;
          continue;
        }
        for (int i = 0; i < split.parts; i++) {
          const int p = split.begin(i), mr = split.size(i);
          const float* rt = rr ? rr + p * 16 : nullptr;
          panel_tile<PS, false>(tl, mr, nb, xr + p * PS, wq, b, post.after ? nullptr : rt, yr + p * 16);
          if (end) finish(post, yr + p * 16, s.ys, nb, mr, slope, rt);
        }
      }
    }
  }
}

template <int PS>
MC_INLINE void conv_bands(Run& r, const Conv2d& s, const float* x, const float* w, const Side& e, float* y, int y0, int y1) {
  if (y1 <= y0) return;
  const int panels = ceil_div(ceil_div(s.k, 16), 2);
  const int most = r.threads > 1 ? imax(1, imin(s.band, ceil_div(y1 - y0, 4 * r.threads))) : s.band;
  const Split bands(y1 - y0, most);
  const int want = r.threads > 1 ? imin(panels, ceil_div(4 * r.threads, bands.parts)) : 1;
  const Split groups(panels, ceil_div(panels, want));
  parallel(r, bands.parts * groups.parts, [&](int item, int worker) {
    const int b = item / groups.parts, g = item % groups.parts;
    conv_band<PS>(s, x, w, e, y, y0 + bands.begin(b), bands.size(b), groups.begin(g), groups.begin(g) + groups.size(g),
                  r.scratch(worker));
  });
}

MC_NOINLINE void conv2d(Run& r, const Conv2d& s, const float* x, const float* w, const Side& e, float* y, int y0, int y1) {
  conv_bands<16>(r, s, x, w, e, y, y0, y1);
}
MC_NOINLINE void conv2d_planar(Run& r, const Conv2d& s, const float* x, const float* w, const Side& e, float* y, int y0,
                               int y1) {
  conv_bands<1>(r, s, x, w, e, y, y0, y1);
}

}  // namespace
