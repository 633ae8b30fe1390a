// sized: operators whose results have sizes that only running tells. They are written densely; `sizes` takes the sizes.
// needs: vec run parallel scalar reduce lines
//
//   reduce_sized<How>(r, rank, n, x, axes, count, keepdims, y, sizes)    the axes come as numbers
//   reshape_sized(n, rank, shape, count, allow_zero, sizes)
//   slice_sized(r, rank, n, x, starts, ends, axes, steps, count, y, sizes)   axes, steps may be null
//   non_zero, compress, unique, non_max_suppression
namespace {

template <class O, class I>
void reduce_sized(Run& r, int rank, const int64_t* n, const typename O::T* x, const I* axes, int64_t count, bool keepdims,
                  typename O::T* y, int64_t* sizes) {
  bool gone[8] = {false};
  for (int64_t i = 0; i < count; i++) {
    const int64_t axis = int64_t(axes[i]) + (axes[i] < 0 ? rank : 0);
    if (axis >= 0 && axis < rank) gone[axis] = true;
  }
  Fold s = {0, 0, {}, {}, {}, {}, {}};
  int at = 0;
  for (int a = 0; a < rank; a++) {
    int64_t stride = 1;
    for (int b = a + 1; b < rank; b++) stride *= n[b];
    if (gone[a]) s.m[s.reduced] = n[a], s.s[s.reduced++] = stride;
    else s.n[s.kept] = n[a], s.x[s.kept++] = stride;
    if (!gone[a] || keepdims) sizes[at++] = gone[a] ? 1 : n[a];
  }
  int64_t inner = 1;
  for (int a = s.kept - 1; a >= 0; a--) s.y[a] = inner, inner *= s.n[a];
  reduce<O>(r, s, x, y);
}

template <class I>
void reshape_sized(const int64_t* n, int rank, const I* shape, int64_t count, bool allow_zero, int64_t* sizes) {
  int64_t whole = 1, known = 1, open = -1;
  for (int a = 0; a < rank; a++) whole *= n[a];
  for (int64_t i = 0; i < count; i++) {
    sizes[i] = shape[i] == 0 && !allow_zero && i < rank ? n[i] : int64_t(shape[i]);
    if (sizes[i] < 0) open = i;
    else known *= sizes[i];
  }
  if (open >= 0) sizes[open] = known ? whole / known : 0;
}

template <class T, class S, class E, class A, class P>
void slice_sized(Run&, int rank, const int64_t* n, const T* x, const S* starts, const E* ends, const A* axes,
                 const P* steps, int64_t count, T* y, int64_t* sizes) {
  int64_t begin[8] = {0}, step[8], stride[8], total = 1;
  for (int a = rank - 1; a >= 0; a--) stride[a] = a == rank - 1 ? 1 : stride[a + 1] * n[a + 1];
  for (int a = 0; a < rank; a++) sizes[a] = n[a], step[a] = 1;
  for (int64_t i = 0; i < count; i++) {
    int64_t a = axes ? int64_t(axes[i]) : i;
    if (a < 0) a += rank;
    if (a < 0 || a >= rank) continue;
    const int64_t by = steps ? int64_t(steps[i]) : 1, low = by > 0 ? 0 : -1, high = by > 0 ? n[a] : n[a] - 1;
    int64_t first = int64_t(starts[i]), end = int64_t(ends[i]);
    if (first < 0) first += n[a];
    if (end < 0) end += n[a];
    first = first < 0 ? 0 : first > high ? high : first;
    end = end < low ? low : end > high + (by > 0 ? 0 : 1) ? high + (by > 0 ? 0 : 1) : end;
    const int64_t span = by > 0 ? end - first : first - end, size = by > 0 ? by : -by;
    begin[a] = first, step[a] = by, sizes[a] = by && span > 0 ? (span + size - 1) / size : 0;
  }
  int64_t from = 0;
  for (int a = 0; a < rank; a++) from += begin[a] * stride[a], total *= sizes[a];
  int64_t index[8] = {0};
  for (int64_t i = 0; i < total; i++) {
    y[i] = x[from];
    for (int a = rank - 1; a >= 0; a--) {
      from += step[a] * stride[a];
      if (++index[a] < sizes[a]) break;
      index[a] = 0;
      from -= step[a] * stride[a] * sizes[a];
    }
  }
}

template <class T>
void non_zero(Run&, const T* x, int rank, const int64_t* n, int64_t* y, int64_t* sizes) {
  int64_t total = 1, found = 0, at = 0;
  for (int a = 0; a < rank; a++) total *= n[a];
  for (int64_t i = 0; i < total; i++) found += truth(x[i]);
  sizes[0] = rank, sizes[1] = found;
  for (int64_t i = 0; i < total; i++) {
    if (!truth(x[i])) continue;
    int64_t left = i;
    for (int a = rank - 1; a >= 0; a--) y[a * found + at] = left % n[a], left /= n[a];
    at++;
  }
}

template <class T>
void compress(Run&, const T* x, const bool* condition, int64_t length, int64_t outer, int64_t n, int64_t inner, T* y,
              int64_t* size) {
  int64_t at = 0;
  *size = 0;
  for (int64_t i = 0; i < n && i < length; i++) *size += condition[i];
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < n && i < length; i++)
      if (condition[i]) memcpy(y + at, x + (o * n + i) * inner, size_t(inner) * sizeof(T)), at += inner;
}

// x [outer, n, inner] seen as n slices. scratch: 4 n numbers of 64 bits.
template <class T>
void unique(Run& r, const T* x, int64_t outer, int64_t n, int64_t inner, bool sorted, T* y, int64_t* first,
            int64_t* inverse, int64_t* counts, int64_t* size) {
  int64_t* order = (int64_t*)r.scratch(0);
  int64_t *name = order + n, *begin = name + n, *many = begin + n;
  const auto compare = [&](int64_t a, int64_t b) {
    for (int64_t o = 0; o < outer; o++)
      for (int64_t i = 0; i < inner; i++) {
        const T u = x[(o * n + a) * inner + i], v = x[(o * n + b) * inner + i];
        if (beats<T, false>(u, v) && !(v != v)) return -1;
        if (beats<T, false>(v, u) && !(u != u)) return 1;
        if ((u != u) != (v != v)) return u != u ? 1 : -1;
      }
    return 0;
  };
  const auto after = [&](int64_t a, int64_t b) {
    const int c = compare(a, b);
    return c > 0 || (c == 0 && a > b);
  };
  for (int64_t i = 0; i < n; i++) order[i] = i;
  sort_by(order, n, after);
  int64_t groups = 0;
  for (int64_t i = 0; i < n; i++) {
    if (i == 0 || compare(order[i - 1], order[i]) != 0) begin[groups] = order[i], many[groups++] = 0;
    many[groups - 1]++;
    inverse[order[i]] = groups - 1;
  }
  for (int64_t g = 0; g < groups; g++) name[g] = sorted ? g : -1;
  int64_t next = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t& g = inverse[i];
    if (name[g] < 0) name[g] = next++;
    if (begin[g] == i) first[name[g]] = i, counts[name[g]] = many[g];
    g = name[g];
  }
  for (int64_t o = 0, at = 0; o < outer; o++)
    for (int64_t g = 0; g < groups; g++, at += inner)
      memcpy(y + at, x + (o * n + first[g]) * inner, size_t(inner) * sizeof(T));
  *size = groups;
}

// boxes [images, n, 4], scores [images, classes, n]. scratch: n numbers of 64 bits.
MC_NOINLINE void non_max_suppression(Run& r, const float* boxes, const float* scores, int64_t images, int64_t classes,
                                     int64_t n, int64_t limit, float overlap, float least, bool center, int64_t* y,
                                     int64_t* sizes) {
  int64_t found = 0;
  int64_t* order = (int64_t*)r.scratch(0);
  const auto corners = [&](const float* box, double* c) {
    for (int k = 0; k < 2; k++) {
      const double a = double(box[k]), b = double(box[k + 2]);
      c[k] = center ? a - b / 2 : a < b ? a : b;
      c[k + 2] = center ? a + b / 2 : a < b ? b : a;
    }
  };
  for (int64_t image = 0; image < images; image++)
    for (int64_t kind = 0; kind < classes; kind++) {
      const float* own = scores + (image * classes + kind) * n;
      int64_t left = 0;
      for (int64_t i = 0; i < n; i++)
        if (!(least > -INF) || own[i] > least) order[left++] = i;
      const auto worse = [&](int64_t a, int64_t b) { return own[a] < own[b] || (own[a] == own[b] && a > b); };
      sort_by(order, left, worse);
      const int64_t mark = found;
      for (int64_t i = 0; i < left && found - mark < limit; i++) {
        double a[4], b[4];
        corners(boxes + (image * n + order[i]) * 4, a);
        bool keep = true;
        for (int64_t j = mark; j < found && keep; j++) {
          corners(boxes + (image * n + y[j * 3 + 2]) * 4, b);
          double common = 1, areas[2] = {1, 1};
          for (int k = 0; k < 2; k++) {
            const double low = a[k] > b[k] ? a[k] : b[k], high = a[k + 2] < b[k + 2] ? a[k + 2] : b[k + 2];
            common *= high > low ? high - low : 0;
            areas[0] *= a[k + 2] > a[k] ? a[k + 2] - a[k] : 0;
            areas[1] *= b[k + 2] > b[k] ? b[k + 2] - b[k] : 0;
          }
          keep = !(common > 0 && common > double(overlap) * (areas[0] + areas[1] - common));
        }
        if (!keep) continue;
        y[found * 3] = image, y[found * 3 + 1] = kind, y[found * 3 + 2] = order[i];
        found++;
      }
    }
  sizes[0] = found, sizes[1] = 3;
}

}  // namespace
