// standardise: rows shifted by their mean and scaled by their spread.
// needs: vec run parallel
//
//   standardise<T>(r, x, y, rows, s, gamma, beta)    x and y dense; gamma and beta may be null
//
// A row is s.channels runs of s.inner elements. Run c of row i takes gamma[i % s.groups * s.channels + c]. Sums are
// kept in double. Without s.centred nothing is subtracted (RMSNorm).
namespace {

struct Standard {
  int64_t groups, channels, inner;
  double epsilon;
  bool centred;
};

template <class T> MC_INLINE double sum_of(const T* x, int64_t n, double shift, bool squares) {
  double lanes[16] = {0};
  int64_t i = 0;
  if (squares)
    for (; i + 16 <= n; i += 16)
      for (int k = 0; k < 16; k++) lanes[k] += (double(x[i + k]) - shift) * (double(x[i + k]) - shift);
  else
    for (; i + 16 <= n; i += 16)
      for (int k = 0; k < 16; k++) lanes[k] += double(x[i + k]);
  for (; i < n; i++) lanes[i & 15] += squares ? (double(x[i]) - shift) * (double(x[i]) - shift) : double(x[i]);
  for (int k = 1; k < 16; k++) lanes[0] += lanes[k];
  return lanes[0];
}

template <class T>
void standardise(Run& r, const T* x, T* y, int64_t rows, const Standard& s, const T* gamma, const T* beta) {
  const int64_t n = s.channels * s.inner;
  parallel(r, int(rows), [&](int row, int) {
    const T* from = x + row * n;
    T* to = y + row * n;
    const double mean = s.centred ? sum_of(from, n, 0, false) / double(n) : 0;
    const double spread = 1 / std::sqrt(sum_of(from, n, mean, true) / double(n) + s.epsilon);
    const T shift = T(mean), factor = T(spread);
    const T* g = gamma ? gamma + row % s.groups * s.channels : nullptr;
    const T* b = beta ? beta + row % s.groups * s.channels : nullptr;
    if (s.inner == 1) {
      if (g && b) for (int64_t i = 0; i < n; i++) to[i] = (from[i] - shift) * factor * g[i] + b[i];
      else if (g) for (int64_t i = 0; i < n; i++) to[i] = (from[i] - shift) * factor * g[i];
      else for (int64_t i = 0; i < n; i++) to[i] = (from[i] - shift) * factor + (b ? b[i] : T(0));
      return;
    }
    for (int64_t c = 0; c < s.channels; c++) {
      const T scale = g ? factor * g[c] : factor, base = b ? b[c] : T(0);
      for (int64_t i = c * s.inner; i < (c + 1) * s.inner; i++) to[i] = (from[i] - shift) * scale + base;
    }
  });
}

}  // namespace
