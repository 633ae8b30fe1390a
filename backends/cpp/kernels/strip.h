// The rows a band of results reads, copied with their padding, so that no tile meets a border.
// needs: vec ring window
//
//   strip_of(s, rows, PS)               the size of the strip of `rows` result rows; PS = 16 blocked, 1 planar
//   strip_row<PS>(s, t, x, iy, out)     row iy of one block (or channel) of the image, zeros outside
//   strip_tap(s, t, tap, PS)            floats from a result's first column to a tap of kh * kw
namespace {

// How a strip lies: [block][row][column phase][column][PS], so that a stride of sx reads neighbours.
struct Strip {
  int rows, cols;
  size_t phase, row, block;  // floats
};

MC_INLINE Strip strip_of(const Conv2d& s, int rows, int ps) {
  Strip t;
  t.rows = (rows - 1) * s.sy + (s.kh - 1) * s.dy + 1;
  t.cols = ceil_div((s.ow - 1) * s.sx + (s.kw - 1) * s.dx + 1, s.sx);
  t.phase = (size_t)t.cols * ps;
  t.row = t.phase * s.sx;
  t.block = t.row * t.rows;
  return t;
}

// The floats of an even and of an odd place of x[0 .. n), n even.
MC_INLINE void split_vectors(const float* x, float* even, float* odd) {
  const vf a = loadu(x), b = loadu(x + VL);
#if MC_VL == 16
  storeu(even, __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
  storeu(odd, __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
#elif MC_VL == 8
  storeu(even, __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14));
  storeu(odd, __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15));
#else
  storeu(even, __builtin_shufflevector(a, b, 0, 2, 4, 6));
  storeu(odd, __builtin_shufflevector(a, b, 1, 3, 5, 7));
#endif
}
MC_INLINE void split_pairs(const float* x, int n, float* even, float* odd) {
  if (n < 2 * VL) {
    for (int i = 0; i < n; i += 2) even[i / 2] = x[i], odd[i / 2] = x[i + 1];
    return;
  }
  for (int i = 0; i + 2 * VL < n; i += 2 * VL) split_vectors(x + i, even + i / 2, odd + i / 2);
  split_vectors(x + n - 2 * VL, even + n / 2 - VL, odd + n / 2 - VL);
}

MC_INLINE void zeros(float* p, int n) {
  for (int i = 0; i < n; i++) p[i] = 0;
}

// Row `iy` of one block (or channel) into its phases, zeros outside.
template <int PS>
MC_INLINE void strip_row(const Conv2d& s, const Strip& t, const float* x, int iy, float* o) {
  if (iy < 0 || iy >= s.h) {
    memset(o, 0, t.row * sizeof(float));
    return;
  }
  const float* row = x + ring_row(iy, s.xring) * s.w * PS;
  for (int p = 0; p < s.sx; p++, o += t.phase) {
    // column j of the phase is column j * sx + p - px of the image
    const int first = imin(t.cols, imax(0, ceil_div(imax(0, s.px - p), s.sx)));
    const int end = imax(first, imin(t.cols, (s.w - 1 + s.px - p + s.sx) / s.sx));
    const float* from = row + (first * s.sx + p - s.px) * PS;
    if (PS == 1) {
      zeros(o, first);
      zeros(o + end, t.cols - end);
    } else {
      for (int j = 0; j < first * 16; j += VL) store(o + j, vf{});
      for (int j = end * 16; j < t.cols * 16; j += VL) store(o + j, vf{});
    }
    if (s.sx == 1) {
      memcpy(o + first * PS, from, (size_t)(end - first) * PS * sizeof(float));
    } else if (PS == 16) {
      for (int j = first; j < end; j++, from += s.sx * 16)
        MC_UNROLL for (int i = 0; i < 16; i += VL) store(o + j * 16 + i, load(from + i));
    } else if (s.sx == 2 && p == 0) {
      // both phases at once; phase 1 is the next round's, which then has only its borders left
      const int first1 = imin(t.cols, ceil_div(imax(0, s.px - 1), 2));
      const int end1 = imax(first1, imin(t.cols, (s.w + s.px) / 2));
      float* odd = o + t.phase;
      int j0 = imax(first, first1), j1 = imin(end, end1);
      const float* f = row + j0 * 2 - s.px;
      if (j1 > j0) split_pairs(f, (j1 - j0) * 2, o + j0, odd + j0);
      for (int j = first; j < imin(j0, end); j++) o[j] = row[j * 2 - s.px];
      for (int j = imax(j1, first); j < end; j++) o[j] = row[j * 2 - s.px];
      for (int j = first1; j < imin(j0, end1); j++) odd[j] = row[j * 2 + 1 - s.px];
      for (int j = imax(j1, first1); j < end1; j++) odd[j] = row[j * 2 + 1 - s.px];
    } else if (s.sx != 2) {
      for (int j = first; j < end; j++, from += s.sx) o[j] = *from;
    }
  }
}

MC_INLINE ptrdiff_t strip_tap(const Conv2d& s, const Strip& t, int tap, int ps) {
  const int kx = tap % s.kw * s.dx;
  return (ptrdiff_t)(tap / s.kw * s.dy * t.row + kx % s.sx * t.phase + kx / s.sx * ps);
}

}  // namespace
