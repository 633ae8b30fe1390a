// Products with one tap by Strassen's seven instead of eight products of halves: an eighth less arithmetic.
// needs: vec run ring parallel epilogue tile gemm
//
//   strassen_weights(c, k, w, u)                       once, when the model is created: w as `pointwise` has it to u
//   strassen_floats(c, k)                              floats of u
//   pointwise_strassen(r, s, x, u, side, y, y0, y1)    as `pointwise` (scale unused); c and k multiples of 32;
//                                                      s.block and scratch: strassen_plan() of packing.py
//   u: seven products, each [k/2/32][c/2][2][16]. Pixels, channels and outputs are halved; with A the pixels and B the
//   weights (Strassen, "Gaussian elimination is not optimal", 1969):
//     M1 = (A11 + A22)(B11 + B22)   M2 = (A21 + A22) B11   M3 = A11 (B12 - B22)   M4 = A22 (B21 - B11)
//     M5 = (A11 + A12) B22          M6 = (A21 - A11)(B11 + B12)                   M7 = (A12 - A22)(B21 + B22)
//   The error is that of a sum about three times as long.
namespace {

MC_INLINE size_t strassen_floats(int c, int k) { return (size_t)7 * (c / 2) * (k / 2); }

MC_NOINLINE void strassen_weights(int c, int k, const float* w, float* u) {
  const int ch = c / 2, kh = k / 2;
  for (int m = 0; m < 7; m++)
    for (int o = 0; o < kh; o += 32) {
      const int lanes = imin(32, kh - o);
      for (int i = 0; i < ch; i++, u += lanes)
        for (int l = 0; l < lanes; l++) {
          // outputs are whole panels of 32, so element (channel, output) lies at [output / 32][channel][output % 32]
          const int a = o + l, b = a + kh;
          const double b11 = w[((size_t)(a / 32) * c + i) * 32 + a % 32], b21 = w[((size_t)(a / 32) * c + i + ch) * 32 + a % 32];
          const double b12 = w[((size_t)(b / 32) * c + i) * 32 + b % 32], b22 = w[((size_t)(b / 32) * c + i + ch) * 32 + b % 32];
          const double all[7] = {b11 + b22, b11, b12 - b22, b21 - b11, b22, b11 + b12, b21 + b22};
          u[l] = (float)all[m];
        }
    }
}

// out = a + sign * b over blocks x n pixels; b has nb pixels, zeros beyond (b may be nullptr: all zeros).
MC_NOINLINE void add_halves(const float* a, int na, const float* b, int nb, float sign, size_t xs, int blocks, int n, float* out) {
  for (int u = 0; u < blocks; u++, a += xs, b += b ? xs : 0, out += n * 16) {
    const int both = b ? imin(na, nb) : 0;
    int i = 0;
    for (; i < both * 16; i += VL) store(out + i, load(a + i) + load(b + i) * sign);
    for (; i < n * 16; i += VL) {
      vf v = vf{};
      if (i < na * 16) v = load(a + i);
      if (b && i < nb * 16) v = v + load(b + i) * sign;
      store(out + i, v);
    }
  }
}

// Where a product goes: y = start + sign * product, clamped.
struct StrassenTarget {
  float* y;           // nullptr: none
  const float* bias;  // set: the sum starts from it and the residual; else from y, and is clamped
  const float* res;
  int pixels;
  float sign, lo, hi;
};

// A product of MR pixels and NB blocks, added to one or two targets from registers.
template <int MR, int NB>
MC_NOINLINE void strassen_tile(int c, const float* __restrict x, size_t xs, const float* __restrict w, size_t ws,
                               const StrassenTarget* t, int n, size_t ys, size_t rs) {
  constexpr int NV = NB * VPB;
  vf acc[MR][NV];
  MC_UNROLL for (int m = 0; m < MR; m++) MC_UNROLL for (int v = 0; v < NV; v++) acc[m][v] = vf{};
  for (int cb = 0; cb < c; cb++, x += xs) {
    const float* p = x;
    for (int i = 0; i < 16; i++, p++, w += ws) {
      vf wv[NV];
      MC_UNROLL for (int v = 0; v < NV; v++) wv[v] = load(w + v * VL);
      MC_UNROLL for (int v = 0; v < NB; v++) __builtin_prefetch(w + PREFETCH_STEPS * 16 * TILE_BLOCKS + v * 16, 0, 2);
      MC_UNROLL for (int m = 0; m < MR; m++) {
        const vf xv = splat(p[m * 16]);
        MC_UNROLL for (int v = 0; v < NV; v++) acc[m][v] += xv * wv[v];
      }
    }
  }
#define MC_AT(v, m, s) ((v) / VPB * (s) + (m) * 16 + (v) % VPB * VL)
  for (; n > 0; n--, t++) {
    const vf sign = splat(t->sign), lo = splat(t->lo), hi = splat(t->hi);
    float* y = t->y;
    const bool all = t->pixels == MR;  // else the last pixel belongs to the first half only
    if (t->bias) {
      MC_UNROLL for (int v = 0; v < NV; v++) {
        const vf b = load(t->bias + v * VL);
        const float* res = t->res;
        MC_UNROLL for (int m = 0; m < MR; m++) {
          if (m == MR - 1 && !all) continue;
          vf s = b + acc[m][v] * sign;
          if (res) s += load(res + MC_AT(v, m, rs));
          store(y + MC_AT(v, m, ys), s);
        }
      }
    } else {
      MC_UNROLL for (int v = 0; v < NV; v++)
        MC_UNROLL for (int m = 0; m < MR; m++) {
          if (m == MR - 1 && !all) continue;
          store(y + MC_AT(v, m, ys), vmin(hi, vmax(lo, load(y + MC_AT(v, m, ys)) + acc[m][v] * sign)));
        }
    }
  }
#undef MC_AT
}

typedef void (*StrassenTile)(int, const float*, size_t, const float*, size_t, const StrassenTarget*, int, size_t, size_t);
template <int NB>
MC_INLINE StrassenTile strassen_tile_of(int mr) {
#define MC_TILE(n) (n <= TILE_PIXELS ? strassen_tile<n <= TILE_PIXELS ? n : 1, NB> : nullptr)
  static constexpr StrassenTile any[] = {MC_TILE(1), MC_TILE(2), MC_TILE(3),  MC_TILE(4),  MC_TILE(5),  MC_TILE(6),  MC_TILE(7),
                                         MC_TILE(8), MC_TILE(9), MC_TILE(10), MC_TILE(11), MC_TILE(12), MC_TILE(13), MC_TILE(14)};
#undef MC_TILE
  return any[mr - 1];
}

// One cache block of n pixels.
MC_NOINLINE void strassen_block(const Pointwise& s, const float* x, const float* u, const Side& e, float* y, const float* res,
                                int n, int q0, int q1, float* scratch) {
  const int n1 = ceil_div(n, 2), n2 = n - n1, cb = s.c / 32, kb = s.k / 32, kh = s.k / 2;
  const size_t half = (size_t)cb * n1 * 16, weights = (size_t)(s.c / 2) * kh;
  const float *a11 = x, *a12 = x + cb * s.xs, *a21 = x + n1 * 16, *a22 = a12 + n1 * 16;
  float *s1 = scratch, *s2 = s1 + half, *s4 = s2 + half, *s5 = s4 + half, *s6 = s5 + half, *s7 = s6 + half;
  add_halves(a11, n1, a22, n2, 1, s.xs, cb, n1, s1);
  add_halves(a21, n2, a22, n2, 1, s.xs, cb, n1, s2);
  add_halves(a22, n2, nullptr, 0, 0, s.xs, cb, n1, s4);
  add_halves(a11, n1, a12, n1, 1, s.xs, cb, n1, s5);
  add_halves(a21, n2, a11, n1, -1, s.xs, cb, n1, s6);
  add_halves(a12, n1, a22, n2, -1, s.xs, cb, n1, s7);
  // Quadrants: pixel half + 2 * output half. A product's targets and their signs, in an order that ends each early.
  struct Step {
    int product;
    const float* x;
    size_t xs;
    int first, second;
    float sign1, sign2;
  };
  const Step steps[7] = {
      {2, a11, s.xs, 2, 3, 1, 1},               // M3 starts C12 and C22
      {4, s5, (size_t)n1 * 16, 2, 0, 1, -1},    // M5 ends C12, starts C11
      {1, s2, (size_t)n1 * 16, 1, 3, 1, -1},    // M2 starts C21
      {3, s4, (size_t)n1 * 16, 1, 0, 1, 1},     // M4 ends C21
      {0, s1, (size_t)n1 * 16, 3, 0, 1, 1},     // M1
      {5, s6, (size_t)n1 * 16, 3, -1, 1, 0},    // M6 ends C22
      {6, s7, (size_t)n1 * 16, 0, -1, 1, 0},    // M7 ends C11
  };
  static const int starts[4] = {1, 2, 0, 0}, ends[4] = {6, 3, 1, 5};
  const Post& post = s.post;
  const Split split(n1, TILE_PIXELS);
  for (int q = q0; q < q1; q++) {
    const int k = q * 2, nb = imin(2, kb - k);
    for (int i = 0; i < 7; i++) {
      const Step& st = steps[i];
      const float* w = u + st.product * weights + (size_t)q * (s.c / 2) * 32;
      for (int j = 0; j < split.parts; j++) {
        const int p = split.begin(j), mr = split.size(j), short_mr = imin(mr, n2 - p);
        StrassenTarget t[2];
        int targets = 0;
        for (int d = 0; d < 2; d++) {
          const int c = d ? st.second : st.first;
          if (c < 0 || (c % 2 && short_mr <= 0)) continue;
          StrassenTarget& to = t[targets++];
          const size_t at = (size_t)(p + c % 2 * n1) * 16, block = k + c / 2 * kb;
          const bool start = starts[c] == i, last = ends[c] == i;
          to.y = y + block * s.ys + at;
          to.pixels = c % 2 ? short_mr : mr;
          to.sign = d ? st.sign2 : st.sign1;
          to.bias = !start ? nullptr : e.bias ? e.bias + block * 16 : ZEROS;
          to.res = start && res && !post.after ? res + block * post.rs + at : nullptr;
          to.lo = last ? post.lo : -INF, to.hi = last ? post.hi : INF;
        }
        if (!targets) continue;
        if (TILE_BLOCKS == 2 && nb == 2) {
          strassen_tile_of<TILE_BLOCKS>(mr)(cb, st.x + p * 16, st.xs, w, 32, t, targets, s.ys, post.rs);
          continue;
        }
        for (int m = 0; m < nb; m++) {
          strassen_tile_of<1>(mr)(cb, st.x + p * 16, st.xs, w + m * 16, nb * 16, t, targets, s.ys, post.rs);
          for (int d = 0; d < targets; d++) {
            t[d].y += s.ys;
            if (t[d].bias) t[d].bias += e.bias ? 16 : 0;
            if (t[d].res) t[d].res += post.rs;
          }
        }
      }
    }
    for (int h = 0; h < 2; h++) {
      const size_t block = k + h * kb;
      finish(post, y + block * s.ys, s.ys, nb, n, e.slope ? e.slope + block * 16 : nullptr, res ? res + block * post.rs : nullptr);
    }
  }
}

MC_NOINLINE void pointwise_strassen(Run& r, const Pointwise& s, const float* x, const float* u, const Side& e, float* y,
                                    int y0, int y1) {
  const int panels = ceil_div(s.k / 32, 2);
  for (int row = y0, rows; row < y1; row += rows) {
    rows = rows_until_wrap(row, y1, s.xring, s.yring, e.residual ? s.post.rring : 0);
    const int pixels = rows * s.w;
    const float* xr = x + ring_row(row, s.xring) * s.w * 16;
    float* yr = y + ring_row(row, s.yring) * s.w * 16;
    const float* rr = e.residual ? e.residual + ring_row(row, s.post.rring) * s.w * 16 : nullptr;
    // blocks of that very size: its halves are whole tiles, and only the last block's are not
    const int parts = ceil_div(pixels, s.block);
    const int want = r.threads > 1 ? imin(panels, ceil_div(4 * r.threads, parts)) : 1;
    const Split groups(panels, ceil_div(panels, want));
    parallel(r, parts * groups.parts, [&](int item, int worker) {
      const int p = item / groups.parts, g = item % groups.parts;
      const size_t first = (size_t)p * s.block * 16;
      strassen_block(s, xr + first, u, e, yr + first, rr ? rr + first : nullptr, imin(s.block, pixels - p * s.block),
                     groups.begin(g), groups.begin(g) + groups.size(g), r.scratch(worker));
    });
  }
}

}  // namespace
