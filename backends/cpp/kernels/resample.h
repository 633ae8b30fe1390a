// resample: an axis read at other places, as sums of a few elements with weights; and spaces read at given places.
// needs: vec run parallel scalar
//
//   resample<T>(r, s, x, y, at, weights, outside)        y[o, i, :] = sum over t of weights[i, t] x[o, at[i, t], :]
//   resample_plane(r, s, x, y, rows, row_weights, columns, column_weights)     both axes of an image at once, floats
//   grid_sample<T>(r, s, x, grid, y)
//
// An index of -1 gives `outside` instead. Weights may be null where there is one element each.
namespace {

struct Axis { int64_t outer, n, made, inner; int taps; };

template <class T>
void resample(Run& r, const Axis& s, const T* x, T* y, const int32_t* at, const T* weights, T outside) {
  parallel(r, int(s.outer), [&](int o, int) {
    for (int64_t i = 0; i < s.made; i++) {
      T* to = y + (o * s.made + i) * s.inner;
      const T* from = x + o * s.n * s.inner;
      const int32_t* place = at + i * s.taps;
      if (place[0] < 0) {
        for (int64_t k = 0; k < s.inner; k++) to[k] = outside;
      } else if (!weights) {
        const T* p = from + place[0] * s.inner;
        for (int64_t k = 0; k < s.inner; k++) to[k] = p[k];
      } else if (s.inner == 1) {
        T sum = T(0);
        for (int t = 0; t < s.taps; t++) sum += weights[i * s.taps + t] * from[place[t]];
        to[0] = sum;
      } else {
        for (int t = 0; t < s.taps; t++) {
          const T w = weights[i * s.taps + t];
          const T* p = from + place[t] * s.inner;
          if (t == 0) for (int64_t k = 0; k < s.inner; k++) to[k] = w * p[k];
          else for (int64_t k = 0; k < s.inner; k++) to[k] += w * p[k];
        }
      }
    }
  });
}

// `planes` images, each pixel `inner` floats: 16 of a blocked value, 1 of a planar one. Needs width * inner floats of
// scratch, in which a row stands that the rows of x have been mixed into.
struct Plane {
  int64_t planes, height, width, rows, columns;
  int64_t inner, plane_stride, result_stride;
  int row_taps, column_taps;
};

template <int INNER> MC_INLINE void mixed_columns(const Plane& s, const float* row, float* to, const int32_t* columns,
                                                  const float* weights) {
  for (int64_t j = 0; j < s.columns; j++) {
    const int32_t* place = columns + j * s.column_taps;
    const float* w = weights + j * s.column_taps;
    float sum[INNER] = {};
    for (int t = 0; t < s.column_taps; t++)
      for (int k = 0; k < INNER; k++) sum[k] += w[t] * row[place[t] * INNER + k];
    for (int k = 0; k < INNER; k++) to[j * INNER + k] = sum[k];
  }
}

MC_NOINLINE void resample_plane(Run& r, const Plane& s, const float* x, float* y, const int32_t* rows,
                                const float* row_weights, const int32_t* columns, const float* column_weights) {
  parallel(r, int(s.planes * s.rows), [&](int item, int worker) {
    const int64_t plane = item / s.rows, i = item % s.rows, length = s.width * s.inner;
    float* row = r.scratch(worker);
    for (int t = 0; t < s.row_taps; t++) {
      const float w = row_weights[i * s.row_taps + t];
      const float* p = x + plane * s.plane_stride + rows[i * s.row_taps + t] * length;
      if (t == 0) for (int64_t k = 0; k < length; k++) row[k] = w * p[k];
      else for (int64_t k = 0; k < length; k++) row[k] += w * p[k];
    }
    float* to = y + plane * s.result_stride + i * s.columns * s.inner;
    if (s.inner == 16) mixed_columns<16>(s, row, to, columns, column_weights);
    else mixed_columns<1>(s, row, to, columns, column_weights);
  });
}

enum Mode { GRID_NEAREST, GRID_LINEAR, GRID_CUBIC };
enum Outside { GRID_ZEROS, GRID_BORDER, GRID_REFLECTION };

struct Grid {
  int axes;
  int64_t n, c, places, in[6];
  Mode mode;
  Outside outside;
  bool align_corners;
};

template <class T> MC_INLINE T mirrored(T place, int64_t n, bool align_corners) {
  const T low = align_corners ? T(0) : T(-0.5), high = align_corners ? T(n - 1) : T(n) - T(0.5), width = high - low;
  if (!(width > 0)) return low;
  if (place >= low && place <= high) return place;
  const T beyond = std::fabs(place - low), turns = std::floor(beyond / width), rest = beyond - turns * width;
  return std::fmod(turns, T(2)) == 0 ? low + rest : high - rest;
}
template <class T> MC_INLINE T cubic_weight(T d) {
  const T a = T(-0.75);
  return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

template <class T>
void grid_sample(Run& r, const Grid& s, const T* x, const T* grid, T* y) {
  int64_t space = 1;
  for (int a = 0; a < s.axes; a++) space *= s.in[a];
  const int taps = s.mode == GRID_NEAREST ? 1 : s.mode == GRID_LINEAR ? 2 : 4;
  int corners = 1;
  for (int a = 0; a < s.axes; a++) corners *= taps;
  parallel(r, int(s.n * s.places), [&](int item, int) {
    const int64_t image = item / s.places, place = item % s.places;
    int64_t at[6][4];
    T weight[6][4];
    for (int a = 0; a < s.axes; a++) {
      const T g = grid[item * s.axes + s.axes - 1 - a];
      const int64_t n = s.in[a];
      T p = s.align_corners ? (g + 1) / 2 * T(n - 1) : ((g + 1) * T(n) - 1) / 2;
      if (s.mode == GRID_NEAREST) p = std::rint(p);
      if (p != p) p = -1;
      if (s.outside == GRID_BORDER && s.mode != GRID_CUBIC) p = p < 0 ? T(0) : p > T(n - 1) ? T(n - 1) : p;
      else if (s.outside == GRID_REFLECTION) p = mirrored(p, n, s.align_corners);
      else p = p < -4 ? T(-4) : p > T(n + 4) ? T(n + 4) : p;
      const T base = s.mode == GRID_NEAREST ? p : std::floor(p), t = p - base;
      for (int k = 0; k < taps; k++) {
        int64_t i = int64_t(base) + (s.mode == GRID_CUBIC ? k - 1 : k);
        T w = s.mode == GRID_NEAREST ? T(1) : s.mode == GRID_LINEAR ? (k ? t : 1 - t) : cubic_weight(std::fabs(t - T(k - 1)));
        if (s.outside == GRID_REFLECTION) i = int64_t(mirrored(double(i), n, s.align_corners));
        if (s.outside == GRID_ZEROS && (i < 0 || i >= n)) w = 0;
        at[a][k] = i < 0 ? 0 : i >= n ? n - 1 : i;
        weight[a][k] = w;
      }
    }
    for (int64_t c = 0; c < s.c; c++) y[(image * s.c + c) * s.places + place] = 0;
    for (int corner = 0; corner < corners; corner++) {
      int64_t offset = 0;
      T w = 1;
      for (int a = s.axes - 1, left = corner, step = 1; a >= 0; a--, left /= taps) {
        w *= weight[a][left % taps];
        offset += at[a][left % taps] * step;
        step *= int(s.in[a]);
      }
      const T* p = x + image * s.c * space + offset;
      for (int64_t c = 0; c < s.c; c++) y[(image * s.c + c) * s.places + place] += w * p[c * space];
    }
  });
}

}  // namespace
