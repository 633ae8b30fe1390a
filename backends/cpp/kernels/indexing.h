// indexing: reading and writing by indices. Negative ones count from the axis's end; what is outside is moved to the
// nearest element, so that no index leads out of memory.
// needs: vec run parallel scalar
//
//   gather(r, x, indices, y, outer, n, inner, count)      y[o, i, :] = x[o, indices[i], :]
//   gather_elements(r, s, x, indices, y)                  y[i] = x[i with its place on one axis replaced by indices[i]]
//   scatter_elements<How>(r, s, indices, updates, y)      the same the other way; How combines (Last, Plus, Times, ...)
//   gather_slices, scatter_slices<How>(r, s, x, indices, y)    heads of indices that lead to slices
//   one_hot(r, indices, values, y, outer, depth, inner)
//   pad(r, s, mode, x, y, value)
namespace {

template <class I> MC_INLINE int64_t place(I index, int64_t n) {
  int64_t i = int64_t(index);
  if (i < 0) i += n;
  return i < 0 ? 0 : i < n ? i : n - 1;
}

template <class T, class I>
void gather(Run& r, const T* x, const I* indices, T* y, int64_t outer, int64_t n, int64_t inner, int64_t count) {
  parallel(r, int(outer), [&](int o, int) {
    for (int64_t i = 0; i < count; i++) {
      const T* from = x + (o * n + place(indices[i], n)) * inner;
      T* to = y + (o * count + i) * inner;
      if (inner == 1) *to = *from;
      else memcpy(to, from, size_t(inner) * sizeof(T));
    }
  });
}

struct Elements {
  int axes, axis;
  int64_t n[8], x[8], size;  // sizes of the indices, strides of the tensor they lead into, its size along the axis
};

template <class I, class F> MC_INLINE void each_element(const Elements& s, const I* indices, const F& f) {
  int64_t index[8] = {0}, total = 1, base = 0;
  for (int a = 0; a < s.axes; a++) total *= s.n[a];
  for (int64_t i = 0; i < total; i++) {
    f(i, base + (place(indices[i], s.size) - index[s.axis]) * s.x[s.axis]);
    for (int a = s.axes - 1; a >= 0; a--) {
      base += s.x[a];
      if (++index[a] < s.n[a]) break;
      index[a] = 0;
      base -= s.x[a] * s.n[a];
    }
  }
}

template <class T, class I>
void gather_elements(Run&, const Elements& s, const T* x, const I* indices, T* y) {
  each_element(s, indices, [&](int64_t i, int64_t at) { y[i] = x[at]; });
}

struct Last { template <class T> static T with(T, T b) { return b; } };
struct Plus { template <class T> static T with(T a, T b) { return plus(a, b); } };
struct Times { template <class T> static T with(T a, T b) { return times(a, b); } };
struct Most { template <class T> static T with(T a, T b) { return greater(a, b); } };
struct Least { template <class T> static T with(T a, T b) { return lesser(a, b); } };

template <class How, class T, class I>
void scatter_elements(Run&, const Elements& s, const I* indices, const T* updates, T* y) {
  each_element(s, indices, [&](int64_t i, int64_t at) { y[at] = How::with(y[at], updates[i]); });
}

struct Slices {
  int64_t batches, heads, depth, inner, tensor;  // heads a batch; elements of a slice, and of a batch of the tensor
  int64_t n[8], x[8];                            // sizes and strides of the axes that a head leads into
};

template <class I> MC_INLINE int64_t slice_at(const Slices& s, const I* head) {
  int64_t at = 0;
  for (int64_t d = 0; d < s.depth; d++) at += place(head[d], s.n[d]) * s.x[d];
  return at;
}

template <class T, class I>
void gather_slices(Run& r, const Slices& s, const T* x, const I* indices, T* y) {
  parallel(r, int(s.batches), [&](int b, int) {
    for (int64_t h = b * s.heads; h < (b + 1) * s.heads; h++)
      memcpy(y + h * s.inner, x + b * s.tensor + slice_at(s, indices + h * s.depth), size_t(s.inner) * sizeof(T));
  });
}

template <class How, class T, class I>
void scatter_slices(Run&, const Slices& s, const I* indices, const T* updates, T* y) {
  for (int64_t h = 0; h < s.heads; h++) {
    T* to = y + slice_at(s, indices + h * s.depth);
    for (int64_t i = 0; i < s.inner; i++) to[i] = How::with(to[i], updates[h * s.inner + i]);
  }
}

template <class T, class I>
void one_hot(Run&, const I* indices, const T* values, T* y, int64_t outer, int64_t depth, int64_t inner) {
  for (int64_t o = 0; o < outer; o++) {
    for (int64_t i = 0; i < depth * inner; i++) y[o * depth * inner + i] = values[0];
    for (int64_t i = 0; i < inner; i++) {
      int64_t at = cast<int64_t>(indices[o * inner + i]);
      if (at < 0) at += depth;
      if (at >= 0 && at < depth) y[(o * depth + at) * inner + i] = values[1];
    }
  }
}

enum Padding { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT, PAD_WRAP };

struct Pads {
  int axes;
  int64_t n[8], x[8], begin[8], m[8];  // sizes and strides of x, what stands before it, sizes of y
};

// The element of an axis that stands at place i of the padded one; -1 for the constant.
MC_INLINE int64_t padded_place(int64_t i, int64_t n, Padding mode) {
  if (i >= 0 && i < n) return i;
  if (mode == PAD_CONSTANT) return -1;
  if (mode == PAD_EDGE) return i < 0 ? 0 : n - 1;
  const int64_t period = mode == PAD_WRAP ? n : n > 1 ? 2 * (n - 1) : 1;
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - i;
}

template <class T>
void pad(Run& r, const Pads& s, Padding mode, const T* x, T* y, T value) {
  const int last = s.axes - 1;
  int64_t rows = 1;
  for (int a = 0; a < last; a++) rows *= s.m[a];
  parallel(r, int(rows), [&](int row, int) {
    int64_t left = row, from = 0;
    bool inside = true;
    for (int a = last - 1; a >= 0; a--) {
      const int64_t at = padded_place(left % s.m[a] - s.begin[a], s.n[a], mode);
      left /= s.m[a];
      inside &= at >= 0;
      from += at * s.x[a];
    }
    T* to = y + row * s.m[last];
    if (!inside) {
      for (int64_t i = 0; i < s.m[last]; i++) to[i] = value;
      return;
    }
    const int64_t n = s.n[last], before = s.begin[last], m = s.m[last], step = s.x[last];
    const int64_t first = before < m ? before : m, end = before + n < m ? before + n : m;
    for (int64_t i = 0; i < first; i++) {
      const int64_t at = padded_place(i - before, n, mode);
      to[i] = at < 0 ? value : x[from + at * step];
    }
    for (int64_t i = first; i < end; i++) to[i] = x[from + (i - before) * step];
    for (int64_t i = end; i < m; i++) {
      const int64_t at = padded_place(i - before, n, mode);
      to[i] = at < 0 ? value : x[from + at * step];
    }
  });
}

template <class T>
void triangle(Run&, const T* x, T* y, int64_t matrices, int64_t rows, int64_t columns, int64_t shift, bool upper) {
  for (int64_t i = 0; i < matrices * rows; i++)
    for (int64_t j = 0; j < columns; j++)
      y[i * columns + j] = (upper ? j >= i % rows + shift : j <= i % rows + shift) ? x[i * columns + j] : T(0);
}

// x [outer, T, middle, B, inner], or with the batch before the time [outer, B, middle, T, inner]
template <class T, class I>
void reverse_sequence(Run&, const T* x, const I* lengths, T* y, int64_t outer, int64_t first, int64_t middle,
                      int64_t second, int64_t inner, bool time_first) {
  for (int64_t o = 0; o < outer; o++)
    for (int64_t a = 0; a < first; a++)
      for (int64_t m = 0; m < middle; m++)
        for (int64_t b = 0; b < second; b++) {
          const int64_t t = time_first ? a : b, length = int64_t(lengths[time_first ? b : a]);
          const int64_t all = time_first ? first : second, most = length < all ? length : all;
          const int64_t from = t < most ? most - 1 - t : t;
          const int64_t source = ((o * first + (time_first ? from : a)) * middle + m) * second + (time_first ? b : from);
          const int64_t target = ((o * first + a) * middle + m) * second + b;
          memcpy(y + target * inner, x + source * inner, size_t(inner) * sizeof(T));
        }
}

// past and update [outer, n or m, inner]; of each of the `outer / steps` batches the writing begins at starts[batch]
template <class T, class I>
void write_steps(Run&, const T* update, const I* starts, T* y, int64_t outer, int64_t steps, int64_t n, int64_t m,
                 int64_t inner, bool circular) {
  for (int64_t o = 0; o < outer; o++) {
    const int64_t start = starts ? int64_t(starts[o / steps]) : 0;
    for (int64_t i = 0; i < m; i++) {
      const int64_t at = circular ? (start + i) % n : start + i;
      if (at >= 0 && at < n) memcpy(y + (o * n + at) * inner, update + (o * m + i) * inner, size_t(inner) * sizeof(T));
    }
  }
}

}  // namespace
