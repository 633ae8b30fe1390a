// Transposed convolution: results of one remainder of (row, column) by the stride form an ordinary convolution.
// needs: vec run ring parallel epilogue window tile
//
//   conv2d_transposed(r, s, x, w, side, y, y0, y1)   y[o] = sum of x[i] * w[t] over o + pad = i * stride + t * dilation;
//                                                    any s; band as in conv2d, chunk unused; scratch: transposed_plan()
//     Weights: for every remainder (oy + py) % sy, in it every (ox + px) % sx, in it [K/32][C/16][taps][16][2][16] as
//     conv2d has them, over the taps of that remainder in the order of (ky, kx).   pack_transposed()
//   depthwise_transposed(r, s, x, w, side, y, y0, y1)   the same for groups = channels; weights [C/16][KH*KW][16]
namespace {

// Taps k of a kernel with k * d % s == rest.
MC_INLINE int taps_of(int kernel, int d, int s, int rest) {
  int n = 0;
  for (int k = 0; k < kernel; k++) n += k * d % s == rest;
  return n;
}

MC_NOINLINE void transposed_band(const Conv2d& s, const float* x, const float* w, const Side& e, float* y, int row, int rows,
                                 int q0, int q1, float* scratch) {
  const int units = ceil_div(s.c, 16), blocks = ceil_div(s.k, 16);
  const Post& post = s.post;
  // rows and columns of x that any tap of the band can meet
  const int reach_y = (s.kh - 1) * s.dy / s.sy + 1, reach_x = (s.kw - 1) * s.dx / s.sx + 1;
  const int top = (row + s.py) / s.sy - reach_y, left = s.px / s.sx - reach_x;
  const int high = (row + rows - 1 + s.py) / s.sy - top + 1, wide = (s.ow - 1 + s.px) / s.sx - left + 1;
  const size_t pitch = (size_t)wide * 16, block = pitch * high;
  float* strip = scratch;
  float* out = strip + units * block;  // a row of one remainder, two blocks
  const size_t os = (size_t)ceil_div(s.ow, s.sx) * 16;
  ptrdiff_t* off = (ptrdiff_t*)(out + 2 * os);
  for (int u = 0; u < units; u++)
    for (int i = 0; i < high; i++) {
      float* o = strip + u * block + i * pitch;
      const int iy = top + i, first = imax(0, -left), end = imax(first, imin(wide, s.w - left));
      memset(o, 0, pitch * sizeof(float));
      if (iy >= 0 && iy < s.h && end > first)
        memcpy(o + first * 16, x + u * s.xs + (ring_row(iy, s.xring) * s.w + left + first) * 16,
               (size_t)(end - first) * 16 * sizeof(float));
    }
  for (int q = q0; q < q1; q++) {
    const int k = q * 2, nb = imin(2, blocks - k);
    for (int oy = row; oy < row + rows; oy++) {
      const int ry = (oy + s.py) % s.sy;
      float* yr = y + k * s.ys + ring_row(oy, s.yring) * s.ow * 16;
      const float* rr = e.residual ? e.residual + k * post.rs + ring_row(oy, post.rring) * s.ow * 16 : nullptr;
      const float* wp = w;
      for (int i = 0; i < ry; i++) wp += (size_t)taps_of(s.kh, s.dy, s.sy, i) * s.kw * s.c * blocks * 16;
      for (int rx = 0; rx < s.sx; rx++) {
        const int ny = taps_of(s.kh, s.dy, s.sy, ry), nx = taps_of(s.kw, s.dx, s.sx, rx), taps = ny * nx;
        const size_t phase = (size_t)taps * s.c * blocks * 16;
        // results ox = x0 + i * sx
        const int x0 = ((rx - s.px) % s.sx + s.sx) % s.sx, n = x0 < s.ow ? ceil_div(s.ow - x0, s.sx) : 0;
        int count = 0;
        for (int ky = 0; ky < s.kh; ky++)
          for (int kx = 0; kx < s.kw; kx++)
            if (ky * s.dy % s.sy == ry && kx * s.dx % s.sx == rx) {
              const int iy = (oy + s.py - ky * s.dy) / s.sy;  // exact, also below zero: the remainder matches
              const int ix = (x0 + s.px - kx * s.dx) / s.sx;
              off[count++] = ((ptrdiff_t)(iy - top) * wide + ix - left) * 16;
            }
        const Tile t{off, taps, taps ? s.c / 16 : 0, taps ? s.c % 16 : 0, block, os, 0, 0, 0, -INF, INF};
        if (n > 0) {
          const Split split(n, TILE_PIXELS);
          const float* b = e.bias ? e.bias + k * 16 : nullptr;
          for (int i = 0; i < split.parts; i++) {
            const int p = split.begin(i) * 16;
            panel_tile<16, false>(t, split.size(i), nb, strip + p, wp + (size_t)q * taps * s.c * 32, b, nullptr, out + p);
          }
          for (int m = 0; m < nb; m++)
            for (int i = 0; i < n; i++) {
              const size_t o = (size_t)(x0 + i * s.sx) * 16;
              for (int v = 0; v < 16; v += VL) {
                vf sum = load(out + m * os + i * 16 + v);
                if (rr && !post.after) sum += load(rr + m * post.rs + o + v);
                store(yr + m * s.ys + o + v, clamp(sum, post.lo, post.hi));
              }
            }
        }
        wp += phase;
      }
      finish(post, yr, s.ys, nb, s.ow, e.slope ? e.slope + k * 16 : nullptr, rr);
    }
  }
}

MC_NOINLINE void conv2d_transposed(Run& r, const Conv2d& s, const float* x, const float* w, const Side& e, float* y, int y0,
                                   int y1) {
  if (y1 <= y0) return;
  const int panels = ceil_div(ceil_div(s.k, 16), 2);
  const int most = r.threads > 1 ? imax(1, imin(s.band, ceil_div(y1 - y0, 4 * r.threads))) : s.band;
  const Split bands(y1 - y0, most);
  parallel(r, bands.parts, [&](int b, int worker) {
    transposed_band(s, x, w, e, y, y0 + bands.begin(b), bands.size(b), 0, panels, r.scratch(worker));
  });
}

MC_NOINLINE void depthwise_transposed(Run& r, const Conv2d& s, const float* x, const float* w, const Side& e, float* y,
                                      int y0, int y1) {
  parallel(r, ceil_div(s.c, 16), [&](int cb, int) {
    const Post& post = s.post;
    for (int oy = y0; oy < y1; oy++) {
      float* yr = y + cb * s.ys + ring_row(oy, s.yring) * s.ow * 16;
      const float* rr = e.residual ? e.residual + cb * post.rs + ring_row(oy, post.rring) * s.ow * 16 : nullptr;
      for (int ox = 0; ox < s.ow; ox++) {
        vf acc[VPB];
        MC_UNROLL for (int v = 0; v < VPB; v++) acc[v] = e.bias ? load(e.bias + cb * 16 + v * VL) : vf{};
        for (int ky = 0; ky < s.kh; ky++) {
          const int ty = oy + s.py - ky * s.dy;
          if (ty < 0 || ty % s.sy || ty / s.sy >= s.h) continue;
          const float* row = x + cb * s.xs + ring_row(ty / s.sy, s.xring) * s.w * 16;
          for (int kx = 0; kx < s.kw; kx++) {
            const int tx = ox + s.px - kx * s.dx;
            if (tx < 0 || tx % s.sx || tx / s.sx >= s.w) continue;
            const float* wk = w + (((size_t)cb * s.kh + ky) * s.kw + kx) * 16;
            MC_UNROLL for (int v = 0; v < VPB; v++) acc[v] += load(row + tx / s.sx * 16 + v * VL) * load(wk + v * VL);
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
