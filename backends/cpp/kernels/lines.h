// lines: what runs along one axis of a tensor [outer, n, inner], which is dense.
// needs: vec run parallel scalar
//
//   arg_extreme<T, GREATEST, LAST>(r, x, y, outer, n, inner)    where the extreme stands (i64); a NaN is one
//   top_k<T, GREATEST>(r, x, values, places, outer, n, inner, k)     needs 8 n bytes of scratch a worker
//   running<T, PRODUCT>(r, x, y, outer, n, inner, exclusive, reverse)
//   softmax<T, LOGARITHM>(r, x, y, outer, n, inner)
//   neighbours(r, x, y, outer, n, inner, size, alpha, beta, bias)    local response normalisation
namespace {

constexpr int ACROSS = 64;  // lines that are walked together where they are interleaved

template <class T, bool GREATEST> MC_INLINE bool beats(T a, T b) {
  if constexpr (!Kind<T>::whole)
    if (a != a || b != b) return a != a && b == b;
  return GREATEST ? a > b : a < b;
}

// Heaps of numbers of which none comes `after` its parent; and the order from the first to the last.
template <class F> MC_INLINE void sift(int64_t* heap, int64_t at, int64_t size, const F& after) {
  for (int64_t child; (child = 2 * at + 1) < size; at = child) {
    if (child + 1 < size && after(heap[child + 1], heap[child])) child++;
    if (!after(heap[child], heap[at])) break;
    const int64_t t = heap[at];
    heap[at] = heap[child], heap[child] = t;
  }
}
template <class F> MC_INLINE void make_heap_of(int64_t* heap, int64_t size, const F& after) {
  for (int64_t i = size / 2 - 1; i >= 0; i--) sift(heap, i, size, after);
}
template <class F> void sort_by(int64_t* items, int64_t size, const F& after) {
  make_heap_of(items, size, after);
  for (int64_t end = size - 1; end > 0; end--) {
    const int64_t t = items[0];
    items[0] = items[end], items[end] = t;
    sift(items, 0, end, after);
  }
}

struct Sizes { int64_t n[8]; };
struct Around { int64_t outer, n, inner; };
// The sizes before an axis that only running tells, along it, and behind it.
MC_INLINE Around around(int rank, const Sizes& s, int64_t axis) {
  Around a = {1, 1, 1};
  if (axis < 0) axis += rank;
  for (int i = 0; i < rank; i++) (i < axis ? a.outer : i > axis ? a.inner : a.n) *= s.n[i];
  return a;
}

// Calls f(first element, lines) for runs of lines that lie side by side.
template <class F> MC_INLINE void each_lines(Run& r, int64_t outer, int64_t n, int64_t inner, const F& f) {
  const int64_t cuts = (inner + ACROSS - 1) / ACROSS;
  parallel(r, int(outer * cuts), [&](int item, int worker) {
    const int64_t o = item / cuts, begin = item % cuts * ACROSS;
    f(o, begin, int(inner - begin < ACROSS ? inner - begin : ACROSS), o * n * inner + begin, worker);
  });
}

template <class T, bool GREATEST, bool LAST>
void arg_extreme(Run& r, const T* x, int64_t* y, int64_t outer, int64_t n, int64_t inner) {
  each_lines(r, outer, n, inner, [&](int64_t o, int64_t begin, int lines, int64_t first, int) {
    T best[ACROSS];
    int64_t at[ACROSS];
    for (int k = 0; k < lines; k++) best[k] = x[first + k], at[k] = 0;
    for (int64_t t = 1; t < n; t++)
      for (int k = 0; k < lines; k++) {
        const T v = x[first + t * inner + k];
        if (LAST ? !beats<T, GREATEST>(best[k], v) : beats<T, GREATEST>(v, best[k])) best[k] = v, at[k] = t;
      }
    for (int k = 0; k < lines; k++) y[o * inner + begin + k] = at[k];
  });
}

template <class T, bool GREATEST>
void top_k(Run& r, const T* x, T* values, int64_t* places, int64_t outer, int64_t n, int64_t inner, int64_t k) {
  if (k == 0) return;
  parallel(r, int(outer * inner), [&](int item, int worker) {
    const int64_t o = item / inner, i = item % inner;
    const T* line = x + o * n * inner + i;
    int64_t* heap = (int64_t*)r.scratch(worker);  // the best so far, the worst of them on top
    const auto worse = [&](int64_t a, int64_t b) {
      const T va = line[a * inner], vb = line[b * inner];
      if (beats<T, GREATEST>(vb, va)) return true;
      return !beats<T, GREATEST>(va, vb) && a > b;
    };
    for (int64_t t = 0; t < k; t++) heap[t] = t;
    make_heap_of(heap, k, worse);
    for (int64_t t = k; t < n; t++)
      if (worse(heap[0], t)) heap[0] = t, sift(heap, 0, k, worse);
    for (int64_t size = k; size > 0; size--) {
      const int64_t to = (o * k + size - 1) * inner + i;
      values[to] = line[heap[0] * inner], places[to] = heap[0];
      heap[0] = heap[size - 1];
      sift(heap, 0, size - 1, worse);
    }
  });
}

template <class T, bool PRODUCT>
void running(Run& r, const T* x, T* y, int64_t outer, int64_t n, int64_t inner, bool exclusive, bool reverse) {
  each_lines(r, outer, n, inner, [&](int64_t, int64_t, int lines, int64_t first, int) {
    T held[ACROSS];
    for (int k = 0; k < lines; k++) held[k] = T(PRODUCT ? 1 : 0);
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = first + (reverse ? n - 1 - i : i) * inner;
      for (int k = 0; k < lines; k++) {
        const T next = PRODUCT ? times(held[k], x[at + k]) : plus(held[k], x[at + k]);
        y[at + k] = exclusive ? held[k] : next;
        held[k] = next;
      }
    }
  });
}

MC_INLINE void softmax_line(const float* x, float* y, int64_t n, bool logarithm) {
  vf top = splat(-INF);
  int64_t i = 0;
  for (; i + VL <= n; i += VL) top = vmax(top, loadu(x + i));
  float most = hmax(top);
  for (; i < n; i++) most = x[i] > most || x[i] != x[i] ? x[i] : most;
  vf total = {};
  float sum = 0;
  for (i = 0; i + VL <= n; i += VL) {
    const vf e = vexp_full(loadu(x + i) - most);
    if (!logarithm) storeu(y + i, e);
    total += e;
  }
  for (; i < n; i++) {
    const float e = std::exp(x[i] - most);
    if (!logarithm) y[i] = e;
    sum += e;
  }
  sum += hsum(total);
  if (logarithm) {
    const float less = std::log(sum);
    for (i = 0; i < n; i++) y[i] = x[i] - most - less;
  } else {
    const float factor = 1 / sum;
    for (i = 0; i < n; i++) y[i] *= factor;
  }
}

template <class T, bool LOGARITHM>
void softmax(Run& r, const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  if constexpr (sizeof(T) == 4)
    if (inner == 1) {
      parallel(r, int(outer), [&](int row, int) { softmax_line(x + row * n, y + row * n, n, LOGARITHM); });
      return;
    }
  each_lines(r, outer, n, inner, [&](int64_t, int64_t, int lines, int64_t first, int) {
    T top[ACROSS], sum[ACROSS];
    for (int k = 0; k < lines; k++) top[k] = T(-INF), sum[k] = 0;
    for (int64_t t = 0; t < n; t++)
      for (int k = 0; k < lines; k++) top[k] = greater(x[first + t * inner + k], top[k]);
    for (int64_t t = 0; t < n; t++) {
      const T* from = x + first + t * inner;
      T* to = y + first + t * inner;
      int k = 0;
      if constexpr (sizeof(T) == 4)
        for (; k + VL <= lines; k += VL) {
          const vf e = vexp_full(loadu(from + k) - loadu(top + k));
          storeu(sum + k, loadu(sum + k) + e);
          storeu(to + k, LOGARITHM ? loadu(from + k) - loadu(top + k) : e);
        }
      for (; k < lines; k++) {
        const T shifted = from[k] - top[k], e = std::exp(shifted);
        sum[k] += e;
        to[k] = LOGARITHM ? shifted : e;
      }
    }
    for (int k = 0; k < lines; k++) sum[k] = LOGARITHM ? std::log(sum[k]) : 1 / sum[k];
    for (int64_t t = 0; t < n; t++) {
      T* to = y + first + t * inner;
      for (int k = 0; k < lines; k++) to[k] = LOGARITHM ? to[k] - sum[k] : to[k] * sum[k];
    }
  });
}

template <class T>
void neighbours(Run& r, const T* x, T* y, int64_t outer, int64_t n, int64_t inner, int64_t size, T alpha, T beta,
                T bias) {
  const int64_t before = (size - 1) / 2, after = size / 2;
  each_lines(r, outer, n, inner, [&](int64_t, int64_t, int lines, int64_t first, int) {
    for (int64_t t = 0; t < n; t++) {
      T sum[ACROSS];
      for (int k = 0; k < lines; k++) sum[k] = 0;
      const int64_t begin = t > before ? t - before : 0, end = t + after < n ? t + after : n - 1;
      for (int64_t u = begin; u <= end; u++)
        for (int k = 0; k < lines; k++) sum[k] += x[first + u * inner + k] * x[first + u * inner + k];
      for (int k = 0; k < lines; k++) {
        const T base = bias + alpha * sum[k];
        const T divisor = beta == T(0.75) ? std::sqrt(base) * std::sqrt(std::sqrt(base)) : std::pow(base, beta);
        y[first + t * inner + k] = x[first + t * inner + k] / divisor;
      }
    }
  });
}

}  // namespace
