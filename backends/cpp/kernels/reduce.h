// reduce: sums, means, extremes and products over any axes.
// needs: vec run parallel scalar
//
//   reduce<SumOf<T>>(r, fold, x, y)    also MeanOf, MaxOf, MinOf, ProductOf, L1Of, L2Of, LogSumOf, SquaresOf
//
// Fold holds the axes that stay (sizes, strides of x and of y) and those that are reduced (sizes, strides of x), in
// elements, outermost first. Sums of floats are kept in double.
namespace {

struct Fold {
  int kept, reduced;
  int64_t n[9], x[9], y[9], m[9], s[9];
};

template <class T> struct SumKind { typedef double type; };
template <class T> MC_INLINE typename SumKind<T>::type in_sum(T a) { return typename SumKind<T>::type(a); }
template <> struct SumKind<int8_t> { typedef uint64_t type; };
template <> struct SumKind<int16_t> { typedef uint64_t type; };
template <> struct SumKind<int32_t> { typedef uint64_t type; };
template <> struct SumKind<int64_t> { typedef uint64_t type; };
template <> struct SumKind<uint8_t> { typedef uint64_t type; };
template <> struct SumKind<uint16_t> { typedef uint64_t type; };
template <> struct SumKind<uint32_t> { typedef uint64_t type; };
template <> struct SumKind<uint64_t> { typedef uint64_t type; };
template <> struct SumKind<bool> { typedef uint64_t type; };

// Each has the type T of elements and A of what is kept, a first A, how an element and another A go in, and the result.
template <class E> struct SumOf {
  typedef E T;
  typedef typename SumKind<E>::type A;
  static A first() { return 0; }
  static A with(A a, T x) { return a + A(x); }
  static A joined(A a, A b) { return a + b; }
  static T result(A a, int64_t) { return T(a); }
};
template <class E> struct MeanOf {
  typedef E T;
  typedef double A;
  static A first() { return 0; }
  static A with(A a, T x) { return a + double(x); }
  static A joined(A a, A b) { return a + b; }
  static T result(A a, int64_t n) { return cast<T>(a / double(n)); }
};
template <class E> struct MaxOf {
  typedef E T;
  typedef E A;
  static A first() { return lowest<T>(); }
  static A with(A a, T x) { return greater(x, a); }
  static A joined(A a, A b) { return greater(a, b); }
  static T result(A a, int64_t) { return a; }
};
template <class E> struct MinOf {
  typedef E T;
  typedef E A;
  static A first() { return highest<T>(); }
  static A with(A a, T x) { return lesser(x, a); }
  static A joined(A a, A b) { return lesser(a, b); }
  static T result(A a, int64_t) { return a; }
};
template <class E> struct ProductOf : SumOf<E> {
  typedef typename SumKind<E>::type A;
  static A first() { return 1; }
  static A with(A a, E x) { return a * A(x); }
  static A joined(A a, A b) { return a * b; }
};
template <class E> struct L1Of : SumOf<E> {
  typedef typename SumKind<E>::type A;
  static A with(A a, E x) { return a + A(magnitude(x)); }
};
template <class E> struct SquaresOf : SumOf<E> {
  typedef typename SumKind<E>::type A;
  static A with(A a, E x) { return a + A(x) * A(x); }
};
template <class E> struct L2Of : SquaresOf<E> {
  typedef typename SumKind<E>::type A;
  static E result(A a, int64_t) { return cast<E>(std::sqrt(double(E(a)))); }
};
template <class E> struct LogSumOf : SumOf<E> {
  typedef typename SumKind<E>::type A;
  static E result(A a, int64_t) { return cast<E>(std::log(double(E(a)))); }
};

struct Scaled { double top, sum; };
template <class E> struct LogSumExpOf {
  typedef E T;
  typedef Scaled A;
  static A first() { return {-INFINITY, 0}; }
  static A joined(A a, A b) {
    if (b.top > a.top || b.top != b.top) return joined(b, a);
    if (!(b.top > -INFINITY)) return a;
    if (!(a.top < INFINITY)) return a;
    return {a.top, a.sum + b.sum * std::exp(b.top - a.top)};
  }
  static A with(A a, T x) { return joined(a, {double(x), 1}); }
  static T result(A a, int64_t) { return cast<T>(a.sum > 0 ? a.top + std::log(a.sum) : a.top); }
};

// The offset of the i-th index of some axes.
MC_INLINE int64_t offset_of(int64_t i, int axes, const int64_t* n, const int64_t* strides) {
  int64_t offset = 0;
  for (int a = axes - 1; a >= 0; a--) {
    offset += i % n[a] * strides[a];
    i /= n[a];
  }
  return offset;
}

template <class O>
void reduce(Run& r, const Fold& s, const typename O::T* x, typename O::T* y) {
  typedef typename O::T T;
  typedef typename O::A A;
  constexpr int LANES = 16, WIDE = 64;
  int64_t outer = 1, steps = 1;
  for (int a = 0; a < s.kept; a++) outer *= s.n[a];
  for (int a = 0; a < s.reduced; a++) steps *= s.m[a];
  const int last = s.reduced - 1, inner = s.kept - 1;
  if (s.kept && s.x[inner] == 1 && s.n[inner] > 1) {  // a run of results at a time
    const int64_t n = s.n[inner], cuts = (n + WIDE - 1) / WIDE, rows = outer / n;
    parallel(r, int(rows * cuts), [&](int item, int) {
      const int64_t begin = item % cuts * WIDE, row = item / cuts;
      const int width = int(n - begin < WIDE ? n - begin : WIDE);
      const T* from = x + offset_of(row, inner, s.n, s.x) + begin;
      T* to = y + offset_of(row, inner, s.n, s.y) + begin * s.y[inner];
      A held[WIDE];
      for (int k = 0; k < WIDE; k++) held[k] = O::first();
      int64_t index[9] = {0}, offset = 0;
      for (int64_t i = 0; i < steps; i++) {
        if (width == WIDE) for (int k = 0; k < WIDE; k++) held[k] = O::with(held[k], from[offset + k]);
        else if (width == 16) for (int k = 0; k < 16; k++) held[k] = O::with(held[k], from[offset + k]);
        else for (int k = 0; k < width; k++) held[k] = O::with(held[k], from[offset + k]);
        for (int a = last; a >= 0; a--) {
          offset += s.s[a];
          if (++index[a] < s.m[a]) break;
          index[a] = 0;
          offset -= s.s[a] * s.m[a];
        }
      }
      for (int k = 0; k < width; k++) to[k * s.y[inner]] = O::result(held[k], steps);
    });
    return;
  }
  const int64_t n = last >= 0 ? s.m[last] : 1, step = last >= 0 ? s.s[last] : 0, rows = n ? steps / n : 0;
  parallel(r, int(outer), [&](int item, int) {
    const T* from = x + offset_of(item, s.kept, s.n, s.x);
    A held[LANES];
    for (int k = 0; k < LANES; k++) held[k] = O::first();
    for (int64_t row = 0; row < rows; row++) {
      const T* p = from + offset_of(row, last, s.m, s.s);
      int64_t i = 0;
      if (step == 1)
        for (; i + LANES <= n; i += LANES)
          for (int k = 0; k < LANES; k++) held[k] = O::with(held[k], p[i + k]);
      for (; i < n; i++) held[i % LANES] = O::with(held[i % LANES], p[i * step]);
    }
    for (int k = 1; k < LANES; k++) held[0] = O::joined(held[0], held[k]);
    y[offset_of(item, s.kept, s.n, s.y)] = O::result(held[0], steps);
  });
}

}  // namespace
