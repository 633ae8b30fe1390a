// general: attention of any form, and sums of products over any axes.
// needs: vec run parallel scalar lines
//
//   attention(r, s, q, k, v, mask, y)    mask null, or of truth values, or of floats; needs s.length floats of scratch
//   sum_of_products<T>(r, s, xs, y)      y[kept] = sum over the reduced axes of the product of all xs
namespace {

struct Heads {
  int64_t n, heads, served;
  int64_t rows, length, width, out;
  int64_t mask_n, mask_head, mask_row, mask_column, mask_length;  // strides of the mask; how many columns it has
  float scale, cap;
  bool causal;
};

MC_INLINE float added(bool keep) { return keep ? 0.f : -INF; }
MC_INLINE float added(float bias) { return bias; }

template <class M>
void attention(Run& r, const Heads& s, const float* q, const float* k, const float* v, const M* mask, float* y) {
  parallel(r, int(s.n * s.heads * s.rows), [&](int item, int worker) {
    const int64_t row = item % s.rows, head = item / s.rows % s.heads, image = item / s.rows / s.heads;
    const int64_t own = image * s.served + head / (s.heads / s.served);
    const float* from = q + int64_t(item) * s.width;
    const float* keys = k + own * s.length * s.width;
    const float* values = v + own * s.length * s.out;
    float* scores = r.scratch(worker);
    bool hidden = true;
    for (int64_t j = 0; j < s.length; j++) {
      float sum = 0;
      for (int64_t e = 0; e < s.width; e++) sum += from[e] * keys[j * s.width + e];
      sum *= s.scale;
      if (s.cap > 0) sum = s.cap * std::tanh(sum / s.cap);
      float bias = s.causal && j > row ? -INF : 0.f;
      if (mask) {
        const int64_t at = image * s.mask_n + head * s.mask_head + row * s.mask_row + j * s.mask_column;
        bias += j < s.mask_length || s.mask_length == 1 ? added(mask[at]) : -INF;
      }
      hidden &= bias == -INF;
      scores[j] = sum + bias;
    }
    float top = -INF, total = 0;
    for (int64_t j = 0; j < s.length; j++) top = greater(scores[j], top);
    if (top == -INF) top = 0;
    for (int64_t j = 0; j < s.length; j++) {
      scores[j] = hidden ? 0.f : std::exp(scores[j] - top);
      total += scores[j];
    }
    const float factor = total == 0 ? 1.f : 1 / total;
    float* to = y + int64_t(item) * s.out;
    for (int64_t f = 0; f < s.out; f++) to[f] = 0;
    for (int64_t j = 0; j < s.length; j++) {
      const float w = scores[j] * factor;
      for (int64_t f = 0; f < s.out; f++) to[f] += w * values[j * s.out + f];
    }
  });
}

template <int N> struct Sum {
  int kept, reduced;
  int64_t n[12], m[12], x[N][12], s[N][12];  // sizes; strides of each operand along the kept and the reduced axes
};

template <class A, int N, class T>
void sum_of_products(Run& r, const Sum<N>& s, const T* const (&xs)[N], T* y) {
  int64_t results = 1, terms = 1;
  for (int a = 0; a < s.kept; a++) results *= s.n[a];
  for (int a = 0; a < s.reduced; a++) terms *= s.m[a];
  parallel(r, int(results), [&](int item, int) {
    const T* p[N];
    for (int k = 0; k < N; k++) p[k] = xs[k];
    for (int64_t a = s.kept - 1, left = item; a >= 0; left /= s.n[a], a--)
      for (int k = 0; k < N; k++) p[k] += left % s.n[a] * s.x[k][a];
    int64_t index[12] = {0};
    A sum = 0;
    for (int64_t t = 0; t < terms; t++) {
      A product = A(*p[0]);
      for (int k = 1; k < N; k++) product *= A(*p[k]);
      sum += product;
      for (int a = s.reduced - 1; a >= 0; a--) {
        for (int k = 0; k < N; k++) p[k] += s.s[k][a];
        if (++index[a] < s.m[a]) break;
        index[a] = 0;
        for (int k = 0; k < N; k++) p[k] -= s.s[k][a] * s.m[a];
      }
    }
    y[item] = T(sum);
  });
}

}  // namespace
