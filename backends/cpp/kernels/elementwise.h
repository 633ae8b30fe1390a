// elementwise: one loop for all operators that work element by element, over up to 9 axes.
// needs: vec run parallel scalar
//
//   each(r, loop, y, f, xs...)      y[i] = f(xs[i]...): f takes and returns single elements; the compiler vectorises
//   each_vector(r, loop, y, f, xs...)    the same for f on vectors of floats
//
// An operand is along(p), whose elements lie together on the innermost axis, same(p), which has one element there, or
// strided(p, stride). Loop<N> holds the sizes of the axes, outermost first, and the strides (elements) of y and each x.
// y may be one of the xs.
#if defined(__clang__)
#define MC_INDEPENDENT
#else
#define MC_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace {

template <int N> struct Loop {
  int axes;
  int64_t n[9], y[9], x[N ? N : 1][9];
};

template <class T> struct Along {
  const T* p;
  T at(int64_t i) const { return p[i]; }
  vf vec(int64_t i) const { return loadu(p + i); }
  vf rest(int64_t i, int64_t n) const {
    vf v = {};
    memcpy(&v, p + i, size_t(n) * 4);
    return v;
  }
  Along from(int64_t offset) const { return {p + offset}; }
};
template <class T> struct Same {
  const T* p;
  T at(int64_t) const { return *p; }
  vf vec(int64_t) const { return splat(*p); }
  vf rest(int64_t, int64_t) const { return splat(*p); }
  Same from(int64_t offset) const { return {p + offset}; }
};
template <class T> struct Strided {
  const T* p;
  int64_t stride;
  T at(int64_t i) const { return p[i * stride]; }
  vf vec(int64_t i) const {
    vf v{};
    MC_UNROLL for (int k = 0; k < VL; k++) v[k] = p[(i + k) * stride];
    return v;
  }
  vf rest(int64_t i, int64_t n) const {
    vf v = {};
    for (int k = 0; k < n; k++) v[k] = p[(i + k) * stride];
    return v;
  }
  Strided from(int64_t offset) const { return {p + offset, stride}; }
};
template <class T> MC_INLINE Along<T> along(const T* p) { return {p}; }
template <class T> MC_INLINE Same<T> same(const T* p) { return {p}; }
template <class T> MC_INLINE Strided<T> strided(const T* p, int64_t stride) { return {p, stride}; }

constexpr int64_t PIECE = 8192;  // elements that a worker takes at a time, about

// Calls row(n, offset in y, offsets in the xs) for runs of the innermost axis, which cover everything together.
template <int N, class F>
MC_INLINE void each_row(Run& r, const Loop<N>& s, const F& row) {
  const int outer = s.axes - 1;
  const int64_t n = s.n[outer];
  int64_t rows = 1;
  for (int a = 0; a < outer; a++) rows *= s.n[a];
  const int64_t cuts = n > 2 * PIECE ? (n + PIECE - 1) / PIECE : 1, step = (n + cuts - 1) / cuts;
  const int64_t together = n >= PIECE ? 1 : PIECE / n, items = cuts > 1 ? rows * cuts : (rows + together - 1) / together;
  parallel(r, int(items), [&](int item, int) {
    const int64_t begin = cuts > 1 ? item % cuts * step : 0;
    const int64_t first = cuts > 1 ? item / cuts : item * together;
    const int64_t last = cuts > 1 ? first + 1 : first + together < rows ? first + together : rows;
    const int64_t length = n - begin < step ? n - begin : step;
    int64_t index[9], y = begin * s.y[outer], x[N ? N : 1];
    for (int k = 0; k < N; k++) x[k] = begin * s.x[k][outer];
    for (int64_t a = outer - 1, left = first; a >= 0; a--) {
      index[a] = left % s.n[a];
      left /= s.n[a];
      y += index[a] * s.y[a];
      for (int k = 0; k < N; k++) x[k] += index[a] * s.x[k][a];
    }
    for (int64_t i = first;;) {
      row(length, y, x);
      if (++i == last) break;
      for (int a = outer - 1; a >= 0; a--) {
        y += s.y[a];
        for (int k = 0; k < N; k++) x[k] += s.x[k][a];
        if (++index[a] < s.n[a]) break;
        index[a] = 0;
        y -= s.y[a] * s.n[a];
        for (int k = 0; k < N; k++) x[k] -= s.x[k][a] * s.n[a];
      }
    }
  });
}

template <class T, class F, class... X>
MC_INLINE void row_of_elements(int64_t n, T* y, const F& f, X... xs) {
  MC_INDEPENDENT
  for (int64_t i = 0; i < n; i++) y[i] = f(xs.at(i)...);
}

template <class F, class... X>
MC_INLINE void row_of_vectors(int64_t n, float* y, const F& f, X... xs) {
  int64_t i = 0;
  for (; i + VL <= n; i += VL) storeu(y + i, f(xs.vec(i)...));
  if (i < n) {
    const vf v = f(xs.rest(i, n - i)...);
    memcpy(y + i, &v, size_t(n - i) * 4);
  }
}

template <int N, class T, class F, class... X, size_t... K>
MC_INLINE void each_of(Run& r, const Loop<N>& s, T* y, const F& f, std::index_sequence<K...>, const X&... xs) {
  each_row(r, s, [&](int64_t n, int64_t o, const int64_t* x) {
    (void)x;
    row_of_elements(n, y + o, f, xs.from(x[K])...);
  });
}
template <int N, class F, class... X, size_t... K>
MC_INLINE void each_vector_of(Run& r, const Loop<N>& s, float* y, const F& f, std::index_sequence<K...>, const X&... xs) {
  each_row(r, s, [&](int64_t n, int64_t o, const int64_t* x) {
    (void)x;
    row_of_vectors(n, y + o, f, xs.from(x[K])...);
  });
}

template <int N, class T, class F, class... X>
MC_INLINE void each(Run& r, const Loop<N>& s, T* y, const F& f, const X&... xs) {
  each_of(r, s, y, f, std::make_index_sequence<N>(), xs...);
}
template <int N, class F, class... X>
MC_INLINE void each_vector(Run& r, const Loop<N>& s, float* y, const F& f, const X&... xs) {
  each_vector_of(r, s, y, f, std::make_index_sequence<N>(), xs...);
}

MC_INLINE vf vfloor(vf v) {
  vf r{};
  MC_UNROLL for (int i = 0; i < VL; i++) r[i] = __builtin_floorf(v[i]);
  return r;
}
MC_INLINE vf vceil(vf v) {
  vf r{};
  MC_UNROLL for (int i = 0; i < VL; i++) r[i] = __builtin_ceilf(v[i]);
  return r;
}
MC_INLINE vf vround(vf v) {
  vf r{};
  MC_UNROLL for (int i = 0; i < VL; i++) r[i] = __builtin_rintf(v[i]);
  return r;
}
MC_INLINE vf greater_of(vf a, vf b) { return select((a > b) | (a != a), a, b); }
MC_INLINE vf lesser_of(vf a, vf b) { return select((a < b) | (a != a), a, b); }

}  // namespace
