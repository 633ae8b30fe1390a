// windows: convolutions and pools of any number of spatial axes (up to 6) and any element types.
// needs: vec run parallel scalar
//
//   convolve<S>(r, s, x, w, b, y, zx, zw, zw_step)    sums in S; b, zx, zw may be null
//   convolve_transposed<S>(r, s, x, w, b, y)
//   deform(r, s, x, w, offset, b, mask, y)            two axes, floats; needs scratch for the columns of a place
//   fold(r, s, x, y)                                  columns added back into an image (Col2Im)
//   max_windows(r, s, x, y, places, column_major)     places may be null
//   mean_windows, power_windows(r, s, x, y, ...)
//
// Window holds the sizes: x [n, c, *in], y [n, m, *out], and of each axis kernel, stride, dilation, pad before and after.
namespace {

struct Window {
  int axes;
  int64_t n, c, m, groups, in[6], out[6], kernel[6], stride[6], dilation[6], pad[6], behind[6];
};

MC_INLINE int64_t volume(int axes, const int64_t* n) {
  int64_t v = 1;
  for (int a = 0; a < axes; a++) v *= n[a];
  return v;
}
MC_INLINE void unravel(int64_t i, int axes, const int64_t* n, int64_t* index) {
  for (int a = axes - 1; a >= 0; a--) index[a] = i % n[a], i /= n[a];
}
// The first place of [0, out) whose element place * stride + shift is not below 0; and the end of those below n.
MC_INLINE int64_t first_place(int64_t shift, int64_t stride) { return shift >= 0 ? 0 : (-shift + stride - 1) / stride; }
MC_INLINE int64_t end_place(int64_t shift, int64_t stride, int64_t n, int64_t out) {
  const int64_t end = n - shift > 0 ? (n - shift + stride - 1) / stride : 0;
  return end < out ? end : out;
}

// Calls f(tap, offset in x of the element that place 0 of the innermost axis sees, first place, end of places) for
// every tap that a row of places (outer indices `at`) sees anything of.
template <class F> MC_INLINE void each_tap(const Window& s, const int64_t* at, const F& f) {
  const int last = s.axes - 1;
  const int64_t taps = volume(s.axes, s.kernel);
  for (int64_t tap = 0; tap < taps; tap++) {
    int64_t k[6], offset = 0;
    unravel(tap, s.axes, s.kernel, k);
    bool inside = true;
    for (int a = 0; a < last; a++) {
      const int64_t i = at[a] * s.stride[a] + k[a] * s.dilation[a] - s.pad[a];
      inside &= i >= 0 && i < s.in[a];
      offset = (offset + i) * s.in[a + 1];
    }
    if (!inside) continue;
    const int64_t shift = k[last] * s.dilation[last] - s.pad[last];
    const int64_t begin = first_place(shift, s.stride[last]);
    const int64_t end = end_place(shift, s.stride[last], s.in[last], s.out[last]);
    if (begin < end) f(tap, offset + shift, begin, end);
  }
}

constexpr int64_t RUN = 256;  // places of a row that are summed together

template <class S, class X, class W, class Y>
void convolve(Run& r, const Window& s, const X* x, const W* w, const Y* b, Y* y, const X* zx = nullptr,
              const W* zw = nullptr, int64_t zw_step = 0) {
  const int last = s.axes - 1;
  const int64_t space = volume(s.axes, s.in), taps = volume(s.axes, s.kernel), rows = volume(last, s.out);
  const int64_t channels = s.c / s.groups, makers = s.m / s.groups, step = s.stride[last], width = s.out[last];
  parallel(r, int(s.n * s.m), [&](int item, int) {
    const int64_t image = item / s.m, m = item % s.m;
    const S zero_x = zx ? S(*zx) : S(0), zero_w = zw ? S(zw[m * zw_step]) : S(0);
    for (int64_t row = 0; row < rows; row++) {
      int64_t at[6];
      unravel(row, last, s.out, at);
      for (int64_t from = 0; from < width; from += RUN) {
        const int64_t until = from + RUN < width ? from + RUN : width;
        S sum[RUN];
        for (int64_t i = 0; i < until - from; i++) sum[i] = b ? S(b[m]) : S(0);
        for (int64_t c = 0; c < channels; c++) {
          const X* plane = x + (image * s.c + m / makers * channels + c) * space;
          const W* filter = w + (m * channels + c) * taps;
          each_tap(s, at, [&](int64_t tap, int64_t offset, int64_t begin, int64_t end) {
            const S factor = minus(S(filter[tap]), zero_w);
            const int64_t low = begin > from ? begin : from, high = end < until ? end : until;
            const X* p = plane + offset;
            if (step == 1)
              for (int64_t i = low; i < high; i++)
                sum[i - from] = plus(sum[i - from], times(factor, minus(S(p[i]), zero_x)));
            else
              for (int64_t i = low; i < high; i++)
                sum[i - from] = plus(sum[i - from], times(factor, minus(S(p[i * step]), zero_x)));
          });
        }
        Y* to = y + (item * rows + row) * width + from;
        for (int64_t i = 0; i < until - from; i++) to[i] = Y(sum[i]);
      }
    }
  });
}

// Here x is what Conv would make, [n, c, *out], and y what it would read, [n, m, *in].
template <class T>
void convolve_transposed(Run& r, const Window& s, const T* x, const T* w, const T* b, T* y) {
  const int last = s.axes - 1;
  const int64_t space = volume(s.axes, s.in), places = volume(s.axes, s.out), taps = volume(s.axes, s.kernel);
  const int64_t channels = s.c / s.groups, makers = s.m / s.groups, step = s.stride[last], rows = volume(last, s.out);
  parallel(r, int(s.n * s.m), [&](int item, int) {
    const int64_t image = item / s.m, m = item % s.m;
    T* plane = y + item * space;
    for (int64_t i = 0; i < space; i++) plane[i] = b ? b[m] : T(0);
    for (int64_t c = 0; c < channels; c++) {
      const int64_t channel = m / makers * channels + c;
      const T* from = x + (image * s.c + channel) * places;
      const T* filter = w + (channel * makers + m % makers) * taps;
      for (int64_t row = 0; row < rows; row++) {
        int64_t at[6];
        unravel(row, last, s.out, at);
        const T* p = from + row * s.out[last];
        each_tap(s, at, [&](int64_t tap, int64_t offset, int64_t begin, int64_t end) {
          T* to = plane + offset;
          const T factor = filter[tap];
          if (step == 1) for (int64_t i = begin; i < end; i++) to[i] += factor * p[i];
          else for (int64_t i = begin; i < end; i++) to[i * step] += factor * p[i];
        });
      }
    }
  });
}

template <class T> void fold(Run& r, const Window& s, const T* x, T* y) {
  const int last = s.axes - 1;
  const int64_t space = volume(s.axes, s.in), places = volume(s.axes, s.out), taps = volume(s.axes, s.kernel);
  const int64_t rows = volume(last, s.out), step = s.stride[last];
  parallel(r, int(s.n * s.m), [&](int item, int) {
    T* plane = y + item * space;
    for (int64_t i = 0; i < space; i++) plane[i] = T(0);
    for (int64_t row = 0; row < rows; row++) {
      int64_t at[6];
      unravel(row, last, s.out, at);
      each_tap(s, at, [&](int64_t tap, int64_t offset, int64_t begin, int64_t end) {
        const T* p = x + (item * taps + tap) * places + row * s.out[last];
        for (int64_t i = begin; i < end; i++) plane[offset + i * step] = plus(plane[offset + i * step], p[i]);
      });
    }
  });
}

// Value of a plane between elements, zero outside.
MC_INLINE float between(const float* plane, int64_t height, int64_t width, float row, float column) {
  if (!(row > -1 && row < float(height) && column > -1 && column < float(width))) return 0;
  const float top = std::floor(row), left = std::floor(column), down = row - top, right = column - left;
  const int64_t i = int64_t(top), j = int64_t(left);
  const auto at = [&](int64_t a, int64_t b) {
    return a >= 0 && a < height && b >= 0 && b < width ? plane[a * width + b] : 0.f;
  };
  return (at(i, j) * (1 - right) + at(i, j + 1) * right) * (1 - down) +
         (at(i + 1, j) * (1 - right) + at(i + 1, j + 1) * right) * down;
}

MC_NOINLINE void deform(Run& r, const Window& s, int64_t offset_groups, const float* x, const float* w,
                        const float* offset, const float* b, const float* mask, float* y) {
  const int64_t taps = s.kernel[0] * s.kernel[1], places = s.out[0] * s.out[1], space = s.in[0] * s.in[1];
  const int64_t channels = s.c / s.groups, makers = s.m / s.groups, each = s.c / offset_groups;
  parallel(r, int(s.n * places), [&](int item, int worker) {
    const int64_t image = item / places, place = item % places;
    float* column = r.scratch(worker);
    for (int64_t c = 0; c < s.c; c++)
      for (int64_t tap = 0; tap < taps; tap++) {
        const int64_t index = (image * offset_groups + c / each) * taps + tap;
        const float row = float(place / s.out[1] * s.stride[0] + tap / s.kernel[1] * s.dilation[0] - s.pad[0]) +
                          offset[(2 * index) * places + place];
        const float at = float(place % s.out[1] * s.stride[1] + tap % s.kernel[1] * s.dilation[1] - s.pad[1]) +
                         offset[(2 * index + 1) * places + place];
        const float v = between(x + (image * s.c + c) * space, s.in[0], s.in[1], row, at);
        column[c * taps + tap] = mask ? v * mask[index * places + place] : v;
      }
    for (int64_t m = 0; m < s.m; m++) {
      const float* from = column + m / makers * channels * taps;
      float sum = b ? b[m] : 0;
      for (int64_t k = 0; k < channels * taps; k++) sum += w[m * channels * taps + k] * from[k];
      y[(image * s.m + m) * places + place] = sum;
    }
  });
}

template <class T>
void max_windows(Run& r, const Window& s, const T* x, T* y, int64_t* places = nullptr, bool column_major = false) {
  const int last = s.axes - 1;
  const int64_t space = volume(s.axes, s.in), rows = volume(last, s.out), width = s.out[last], step = s.stride[last];
  parallel(r, int(s.n * s.c), [&](int item, int) {
    const T* plane = x + item * space;
    for (int64_t row = 0; row < rows; row++) {
      int64_t at[6];
      unravel(row, last, s.out, at);
      T* to = y + (item * rows + row) * width;
      int64_t* found = places ? places + (item * rows + row) * width : nullptr;
      for (int64_t i = 0; i < width; i++) to[i] = lowest<T>();
      if (found) for (int64_t i = 0; i < width; i++) found[i] = -1;
      each_tap(s, at, [&](int64_t, int64_t offset, int64_t begin, int64_t end) {
        const T* p = plane + offset;
        if (!found) {
          for (int64_t i = begin; i < end; i++) to[i] = greater(p[i * step], to[i]);
          return;
        }
        for (int64_t i = begin; i < end; i++)
          if (found[i] < 0 || p[i * step] > to[i]) to[i] = p[i * step], found[i] = offset + i * step;
      });
      for (int64_t i = 0; found && i < width; i++) {
        int64_t flat = found[i] < 0 ? 0 : found[i];
        if (column_major) {
          int64_t index[6];
          unravel(flat, s.axes, s.in, index);
          flat = 0;
          for (int a = last; a >= 0; a--) flat = flat * s.in[a] + index[a];
        }
        found[i] = flat + item * space;
      }
    }
  });
}

// How many elements, or places of the padding too, a window at `at` counts along an axis.
MC_INLINE int64_t counted(const Window& s, int a, int64_t at, bool padding) {
  int64_t count = 0;
  for (int64_t k = 0; k < s.kernel[a]; k++) {
    const int64_t i = at * s.stride[a] + k * s.dilation[a] - s.pad[a];
    count += padding ? i >= -s.pad[a] && i < s.in[a] + s.behind[a] : i >= 0 && i < s.in[a];
  }
  return count;
}

template <class T, class F, class G>
MC_INLINE void sum_windows(Run& r, const Window& s, const T* x, T* y, const F& of, const G& result) {
  const int last = s.axes - 1;
  const int64_t space = volume(s.axes, s.in), rows = volume(last, s.out), width = s.out[last], step = s.stride[last];
  parallel(r, int(s.n * s.c), [&](int item, int) {
    for (int64_t row = 0; row < rows; row++) {
      int64_t at[6];
      unravel(row, last, s.out, at);
      T* to = y + (item * rows + row) * width;
      for (int64_t i = 0; i < width; i++) to[i] = 0;
      each_tap(s, at, [&](int64_t, int64_t offset, int64_t begin, int64_t end) {
        const T* p = x + item * space + offset;
        for (int64_t i = begin; i < end; i++) to[i] += of(p[i * step]);
      });
      for (int64_t i = 0; i < width; i++) {
        at[last] = i;
        to[i] = result(to[i], at);
      }
    }
  });
}

template <class T> void mean_windows(Run& r, const Window& s, const T* x, T* y, bool padding) {
  sum_windows(r, s, x, y, [](T v) { return v; }, [&](T sum, const int64_t* at) {
    int64_t count = 1;
    for (int a = 0; a < s.axes; a++) count *= counted(s, a, at[a], padding);
    return sum / T(count);
  });
}

template <class T> void power_windows(Run& r, const Window& s, const T* x, T* y, int p) {
  sum_windows(r, s, x, y, [&](T v) { return p == 2 ? v * v : p == 1 ? std::fabs(v) : std::pow(std::fabs(v), T(p)); },
              [&](T sum, const int64_t*) { return p == 2 ? std::sqrt(sum) : std::pow(sum, 1 / T(p)); });
}

}  // namespace
