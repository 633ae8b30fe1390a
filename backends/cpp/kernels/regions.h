// regions: pools over boxes, of floats.
// needs: vec run parallel
//
//   roi_align(r, s, x, rois, images, y, ...)    max_roi_pool(r, s, x, rois, y)    ps_roi_pool(r, s, x, rois, y)
namespace {

struct Regions { int64_t count, images, c, height, width, rows, columns; float scale; };

MC_INLINE int64_t within(int64_t i, int64_t low, int64_t high) { return i < low ? low : i > high ? high : i; }

// The elements that a point of an axis lies between, and the share of the second; false outside.
MC_INLINE bool point(double where, int64_t n, int64_t* low, int64_t* high, double* share) {
  if (!(where >= -1 && where <= double(n))) return false;
  where = where < 0 ? 0 : where > double(n - 1) ? double(n - 1) : where;
  *low = int64_t(where);
  *high = *low + 1 < n ? *low + 1 : n - 1;
  *share = where - double(*low);
  return true;
}

template <class I>
void roi_align(Run& r, const Regions& s, const float* x, const float* rois, const I* images, float* y, int ratio,
               bool half_pixel, bool greatest) {
  parallel(r, int(s.count * s.c), [&](int item, int) {
    const int64_t roi = item / s.c, c = item % s.c;
    const float* plane = x + (within(int64_t(images[roi]), 0, s.images - 1) * s.c + c) * s.height * s.width;
    const float shift = half_pixel ? 0.5f : 0.f;
    float edges[4];
    for (int k = 0; k < 4; k++) edges[k] = rois[roi * 4 + k] * s.scale - shift;
    float wide = edges[2] - edges[0], tall = edges[3] - edges[1];
    if (!half_pixel) wide = wide > 1 ? wide : 1, tall = tall > 1 ? tall : 1;
    const float cell_rows = std::ceil(tall / float(s.rows)), cell_columns = std::ceil(wide / float(s.columns));
    const int64_t down = ratio > 0 ? ratio : cell_rows > 0 ? int64_t(cell_rows) : 0;
    const int64_t across = ratio > 0 ? ratio : cell_columns > 0 ? int64_t(cell_columns) : 0;
    const double step_y = double(tall) / double(s.rows), step_x = double(wide) / double(s.columns);
    for (int64_t i = 0; i < s.rows; i++)
      for (int64_t j = 0; j < s.columns; j++) {
        double sum = 0, most = -INFINITY;
        for (int64_t a = 0; a < down; a++)
          for (int64_t b = 0; b < across; b++) {
            int64_t y0, y1, x0, x1;
            double v, u;
            const double at_y = double(edges[1]) + (double(i) + (double(a) + 0.5) / double(down)) * step_y;
            const double at_x = double(edges[0]) + (double(j) + (double(b) + 0.5) / double(across)) * step_x;
            double parts[4] = {0, 0, 0, 0};
            if (point(at_y, s.height, &y0, &y1, &v) && point(at_x, s.width, &x0, &x1, &u)) {
              parts[0] = double(plane[y0 * s.width + x0]) * (1 - v) * (1 - u);
              parts[1] = double(plane[y0 * s.width + x1]) * (1 - v) * u;
              parts[2] = double(plane[y1 * s.width + x0]) * v * (1 - u);
              parts[3] = double(plane[y1 * s.width + x1]) * v * u;
            }
            for (int k = 0; k < 4; k++) sum += parts[k], most = parts[k] > most ? parts[k] : most;
          }
        const int64_t points = down * across;
        y[(item * s.rows + i) * s.columns + j] =
            points == 0 ? 0.f : greatest ? float(most) : float(sum / double(points));
      }
  });
}

MC_NOINLINE void max_roi_pool(Run& r, const Regions& s, const float* x, const float* rois, float* y) {
  parallel(r, int(s.count * s.c), [&](int item, int) {
    const float* roi = rois + item / s.c * 5;
    const float* plane = x + (within(int64_t(roi[0]), 0, s.images - 1) * s.c + item % s.c) * s.height * s.width;
    int64_t edge[4];
    for (int k = 0; k < 4; k++) {
      const double v = double(roi[k + 1]) * double(s.scale);
      edge[k] = int64_t(std::floor(std::fabs(v) + 0.5)) * (roi[k + 1] >= 0 ? 1 : -1);
    }
    const int64_t wide = edge[2] - edge[0] + 1, tall = edge[3] - edge[1] + 1;
    const double step_x = double(wide > 1 ? wide : 1) / double(s.columns), step_y = double(tall > 1 ? tall : 1) / double(s.rows);
    for (int64_t i = 0; i < s.rows; i++)
      for (int64_t j = 0; j < s.columns; j++) {
        const int64_t y0 = within(int64_t(std::floor(double(i) * step_y)) + edge[1], 0, s.height);
        const int64_t y1 = within(int64_t(std::ceil(double(i + 1) * step_y)) + edge[1], 0, s.height);
        const int64_t x0 = within(int64_t(std::floor(double(j) * step_x)) + edge[0], 0, s.width);
        const int64_t x1 = within(int64_t(std::ceil(double(j + 1) * step_x)) + edge[0], 0, s.width);
        float most = y1 > y0 && x1 > x0 ? -INF : 0.f;
        for (int64_t a = y0; a < y1; a++)
          for (int64_t b = x0; b < x1; b++) {
            const float v = plane[a * s.width + b];
            most = v > most || v != v ? v : most;
          }
        y[(item * s.rows + i) * s.columns + j] = most;
      }
  });
}

// s.c channels of the result; cell (i, j) reads channel (d * rows + i) * columns + j
MC_NOINLINE void ps_roi_pool(Run& r, const Regions& s, const float* x, const float* rois, float* y) {
  parallel(r, int(s.count * s.c), [&](int item, int) {
    const float* roi = rois + item / s.c * 5;
    const int64_t d = item % s.c, image = within(int64_t(roi[0]), 0, s.images - 1);
    float edge[4];
    for (int k = 0; k < 4; k++) edge[k] = (std::round(roi[k + 1]) + (k > 1 ? 1.f : 0.f)) * s.scale;
    const float wide = edge[2] - edge[0], tall = edge[3] - edge[1];
    const float step_x = (wide > 0.1f ? wide : 0.1f) / float(s.columns), step_y = (tall > 0.1f ? tall : 0.1f) / float(s.rows);
    for (int64_t i = 0; i < s.rows; i++)
      for (int64_t j = 0; j < s.columns; j++) {
        const int64_t y0 = within(int64_t(std::floor(float(i) * step_y + edge[1])), 0, s.height);
        const int64_t y1 = within(int64_t(std::ceil(float(i + 1) * step_y + edge[1])), 0, s.height);
        const int64_t x0 = within(int64_t(std::floor(float(j) * step_x + edge[0])), 0, s.width);
        const int64_t x1 = within(int64_t(std::ceil(float(j + 1) * step_x + edge[0])), 0, s.width);
        const int64_t channel = (d * s.rows + i) * s.columns + j, channels = s.c * s.rows * s.columns;
        const float* plane = x + (image * channels + channel) * s.height * s.width;
        double sum = 0;
        for (int64_t a = y0; a < y1; a++)
          for (int64_t b = x0; b < x1; b++) sum += double(plane[a * s.width + b]);
        const int64_t n = (y1 - y0) * (x1 - x0);
        y[(item * s.rows + i) * s.columns + j] = y1 > y0 && x1 > x0 ? float(sum / double(n)) : 0.f;
      }
  });
}

// The determinants of `count` matrices, by elimination with the largest pivot; needs n * n doubles of scratch.
template <class T> void determinants(Run& r, const T* x, T* y, int64_t count, int64_t n) {
  parallel(r, int(count), [&](int item, int worker) {
    double* a = (double*)r.scratch(worker);
    for (int64_t i = 0; i < n * n; i++) a[i] = double(x[item * n * n + i]);
    double product = 1;
    for (int64_t k = 0; k < n && product != 0; k++) {
      int64_t pivot = k;
      for (int64_t i = k + 1; i < n; i++)
        if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k])) pivot = i;
      product *= pivot == k ? a[pivot * n + k] : -a[pivot * n + k];
      for (int64_t j = 0; j < n && pivot != k; j++) {
        const double t = a[k * n + j];
        a[k * n + j] = a[pivot * n + j], a[pivot * n + j] = t;
      }
      for (int64_t i = k + 1; i < n && product != 0; i++) {
        const double factor = a[i * n + k] / a[k * n + k];
        for (int64_t j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
      }
    }
    y[item] = T(product);
  });
}

}  // namespace
