// product: matrix products of any element types.
// needs: vec run parallel scalar
//
//   product(r, s, a, b, y)     y[i, j] = sum over k of a[i, k] b[k, j], for all matrices of a batch, of floats
//   product_of<A, B, Y, S>(r, s, a, b, y, za, zb)     the same for other types: less the zero points, summed in S
//
// Product holds m, n, k, the strides (elements) of a and b, and up to 6 batch axes with strides. y is dense.
namespace {

struct Product {
  int64_t m, n, k;
  int64_t a_row, a_column, b_row, b_column;
  int batches;
  int64_t count[6], a_batch[6], b_batch[6];
};

// Calls f(offset in a, offset in b, matrix, first row, rows) for pieces of the rows.
template <class F> MC_INLINE void each_rows(Run& r, const Product& s, const F& f) {
  int64_t matrices = 1;
  for (int a = 0; a < s.batches; a++) matrices *= s.count[a];
  int64_t together = 1 + 60000 / (s.n * s.k + 1);
  if (together < 8) together = 8;
  const int64_t cuts = (s.m + together - 1) / together;
  parallel(r, int(matrices * cuts), [&](int item, int) {
    const int64_t matrix = item / cuts, first = item % cuts * together;
    int64_t left = matrix, a = 0, b = 0;
    for (int axis = s.batches - 1; axis >= 0; axis--) {
      a += left % s.count[axis] * s.a_batch[axis];
      b += left % s.count[axis] * s.b_batch[axis];
      left /= s.count[axis];
    }
    f(a, b, matrix, first, s.m - first < together ? s.m - first : together);
  });
}

template <int ROWS, int VECTORS>
MC_INLINE void tile(const Product& s, const float* a, const float* b, float* y, int last) {
  vf held[ROWS][VECTORS] = {};
  for (int64_t k = 0; k < s.k; k++) {
    vf v[VECTORS];
    MC_UNROLL for (int j = 0; j < VECTORS - 1; j++) v[j] = loadu(b + k * s.b_row + j * VL);
    if (last == VL) {
      v[VECTORS - 1] = loadu(b + k * s.b_row + (VECTORS - 1) * VL);
    } else {
      v[VECTORS - 1] = vf{};
      memcpy(&v[VECTORS - 1], b + k * s.b_row + (VECTORS - 1) * VL, size_t(last) * 4);
    }
    MC_UNROLL for (int i = 0; i < ROWS; i++)
      MC_UNROLL for (int j = 0; j < VECTORS; j++) held[i][j] += v[j] * a[i * s.a_row + k * s.a_column];
  }
  MC_UNROLL for (int i = 0; i < ROWS; i++) {
    MC_UNROLL for (int j = 0; j < VECTORS - 1; j++) storeu(y + i * s.n + j * VL, held[i][j]);
    memcpy(y + i * s.n + (VECTORS - 1) * VL, &held[i][VECTORS - 1], size_t(last) * 4);
  }
}

template <int ROWS> MC_NOINLINE void tile_rows(const Product& s, const float* a, const float* b, float* y) {
  int64_t j = 0;
  for (; j + 2 * VL < s.n; j += 2 * VL) tile<ROWS, 2>(s, a, b + j, y + j, VL);
  const int left = int(s.n - j);
  if (left > VL) tile<ROWS, 2>(s, a, b + j, y + j, left - VL);
  else tile<ROWS, 1>(s, a, b + j, y + j, left);
}

MC_NOINLINE void product(Run& r, const Product& s, const float* a, const float* b, float* y) {
  each_rows(r, s, [&](int64_t ao, int64_t bo, int64_t matrix, int64_t first, int64_t rows) {
    const float* from = a + ao + first * s.a_row;
    float* to = y + (matrix * s.m + first) * s.n;
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) tile_rows<4>(s, from + i * s.a_row, b + bo, to + i * s.n);
    for (; i < rows; i++) tile_rows<1>(s, from + i * s.a_row, b + bo, to + i * s.n);
  });
}

template <class T> MC_INLINE T zero_at(const T* zeros, int64_t i, int64_t stride) {
  return zeros ? zeros[i * stride] : T(0);
}

template <class A, class B, class Y, class S>
void product_of(Run& r, const Product& s, const A* a, const B* b, Y* y, const A* za = nullptr, int64_t za_step = 0,
                const B* zb = nullptr, int64_t zb_step = 0) {
  each_rows(r, s, [&](int64_t ao, int64_t bo, int64_t matrix, int64_t first, int64_t rows) {
    for (int64_t i = first; i < first + rows; i++)
      for (int64_t begin = 0; begin < s.n; begin += 64) {
        const int64_t width = s.n - begin < 64 ? s.n - begin : 64;
        S held[64], zeros[64];
        const S zero = S(zero_at(za, i, za_step));
        for (int64_t j = 0; j < width; j++) held[j] = 0, zeros[j] = S(zero_at(zb, begin + j, zb_step));
        for (int64_t k = 0; k < s.k; k++) {
          const S factor = minus(S(a[ao + i * s.a_row + k * s.a_column]), zero);
          const B* row = b + bo + k * s.b_row + begin * s.b_column;
          if (s.b_column == 1)
            for (int64_t j = 0; j < width; j++) held[j] = plus(held[j], times(factor, minus(S(row[j]), zeros[j])));
          else
            for (int64_t j = 0; j < width; j++)
              held[j] = plus(held[j], times(factor, minus(S(row[j * s.b_column]), zeros[j])));
        }
        for (int64_t j = 0; j < width; j++) y[(matrix * s.m + i) * s.n + begin + j] = Y(held[j]);
      }
  });
}

}  // namespace
