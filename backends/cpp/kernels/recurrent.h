// recurrent: the steps of recurrent layers, of floats; what the inputs add to the gates has been multiplied before.
// needs: vec run parallel product
//
//   lstm_steps, gru_steps, rnn_steps(r, s, gates, recurrent, bias, ..., f, g, h)    f, g, h on vectors
//
// gates [steps, n, G * hidden] hold W x + Wb; recurrent is R transposed, [hidden, G * hidden]; bias is Rb, or null.
// y [steps, directions, n, hidden] comes as the pointer of one direction. State h (and c) [n, hidden] holds the first
// state, and at the end the last one. `turned` runs from each sequence's end. scratch: n * G * hidden floats and more.
namespace {

struct Cell {
  int64_t steps, n, hidden, y_step;  // y_step: elements of y from step to step
  bool turned;
};

MC_INLINE void recurrent_product(Run& r, int64_t n, int64_t hidden, int64_t width, int64_t columns, const float* h,
                                 const float* matrix, float* y) {
  const Product p{n, width, hidden, hidden, 1, columns, 1, 0, {}, {}, {}};
  product(r, p, h, matrix, y);
}

// Runs f(j, lanes) over [0, n) in vectors; the last one may be partial.
template <class F> MC_INLINE void each_lane(int64_t n, const F& f) {
  for (int64_t j = 0; j < n; j += VL) f(j, int(n - j < VL ? n - j : VL));
}
MC_INLINE vf load_part(const float* p, int lanes) {
  if (lanes == VL) return loadu(p);
  vf v = {};
  memcpy(&v, p, size_t(lanes) * 4);
  return v;
}
MC_INLINE void store_part(float* p, vf v, int lanes) { memcpy(p, &v, size_t(lanes) * 4); }
MC_INLINE vf part_or_zero(const float* p, int64_t j, int lanes) { return p ? load_part(p + j, lanes) : vf{}; }

// Calls f(sequence, time in x, place in y) for the sequences that go on at a step; the others' results are zero.
template <class I, class F>
MC_INLINE void each_sequence(const Cell& s, int64_t step, const I* lengths, float* y, const F& f) {
  for (int64_t i = 0; i < s.n; i++) {
    int64_t end = lengths ? int64_t(lengths[i]) : s.steps;
    end = end < 0 ? 0 : end > s.steps ? s.steps : end;
    if (step < end) f(i, s.turned ? end - 1 - step : step);
    else memset(y + step * s.y_step + i * s.hidden, 0, size_t(s.hidden) * 4);
  }
}

template <class I, class F>
void rnn_steps(Run& r, const Cell& s, const float* gates, const float* recurrent, const float* bias, const I* lengths,
               float* h, float* y, const F& f) {
  float* behind = r.scratch(0);
  for (int64_t step = 0; step < s.steps; step++) {
    recurrent_product(r, s.n, s.hidden, s.hidden, s.hidden, h, recurrent, behind);
    each_sequence(s, step, lengths, y, [&](int64_t i, int64_t t) {
      const float* a = gates + (t * s.n + i) * s.hidden;
      float* to = y + t * s.y_step + i * s.hidden;
      each_lane(s.hidden, [&](int64_t j, int lanes) {
        const vf v = f(load_part(a + j, lanes) + load_part(behind + i * s.hidden + j, lanes) + part_or_zero(bias, j, lanes));
        store_part(to + j, v, lanes);
        store_part(h + i * s.hidden + j, v, lanes);
      });
    });
  }
}

template <class I, class F, class G>
void gru_steps(Run& r, const Cell& s, const float* gates, const float* recurrent, const float* bias, const I* lengths,
               float* h, float* y, bool linear_before_reset, const F& f, const G& g) {
  const int64_t n = s.hidden, wide = 3 * n, both = 2 * n;
  float* behind = r.scratch(0);            // [s.n, 2 n]: z and r
  float* last = behind + s.n * both;       // [s.n, n]
  float* reset = last + s.n * n;           // [s.n, n]: r * h
  for (int64_t step = 0; step < s.steps; step++) {
    recurrent_product(r, s.n, n, both, wide, h, recurrent, behind);
    if (linear_before_reset) recurrent_product(r, s.n, n, n, wide, h, recurrent + both, last);
    each_sequence(s, step, lengths, y, [&](int64_t i, int64_t t) {
      const float* a = gates + (t * s.n + i) * wide;
      each_lane(n, [&](int64_t j, int lanes) {
        float* p = behind + i * both + j;
        const vf z = f(load_part(a + j, lanes) + load_part(p, lanes) + part_or_zero(bias, j, lanes));
        const vf k = f(load_part(a + n + j, lanes) + load_part(p + n, lanes) + part_or_zero(bias, n + j, lanes));
        store_part(p, z, lanes);
        store_part(p + n, k, lanes);
        store_part(reset + i * n + j, k * load_part(h + i * n + j, lanes), lanes);
      });
    });
    if (!linear_before_reset) recurrent_product(r, s.n, n, n, wide, reset, recurrent + both, last);
    each_sequence(s, step, lengths, y, [&](int64_t i, int64_t t) {
      const float* a = gates + (t * s.n + i) * wide + both;
      float* to = y + t * s.y_step + i * n;
      each_lane(n, [&](int64_t j, int lanes) {
        const vf z = load_part(behind + i * both + j, lanes), k = load_part(behind + i * both + n + j, lanes);
        vf more = load_part(last + i * n + j, lanes) + part_or_zero(bias, both + j, lanes);
        if (linear_before_reset) more = k * more;
        const vf fresh = g(load_part(a + j, lanes) + more), old = load_part(h + i * n + j, lanes);
        const vf v = (1.f - z) * fresh + z * old;
        store_part(to + j, v, lanes);
        store_part(h + i * n + j, v, lanes);
      });
    });
  }
}

template <class I, class F, class G, class H>
void lstm_steps(Run& r, const Cell& s, const float* gates, const float* recurrent, const float* bias,
                const float* peepholes, const I* lengths, float* h, float* c, float* y, bool input_forget, const F& f,
                const G& g, const H& out) {
  const int64_t n = s.hidden, wide = 4 * n;
  float* behind = r.scratch(0);
  for (int64_t step = 0; step < s.steps; step++) {
    recurrent_product(r, s.n, n, wide, wide, h, recurrent, behind);
    each_sequence(s, step, lengths, y, [&](int64_t i, int64_t t) {
      const float* a = gates + (t * s.n + i) * wide;
      const float* b = behind + i * wide;
      float* to = y + t * s.y_step + i * n;
      each_lane(n, [&](int64_t j, int lanes) {
        const auto gate = [&](int64_t k) {
          return load_part(a + k * n + j, lanes) + load_part(b + k * n + j, lanes) + part_or_zero(bias, k * n + j, lanes);
        };
        const auto peep = [&](int64_t k) { return part_or_zero(peepholes, k * n + j, lanes); };
        const vf old = load_part(c + i * n + j, lanes);
        const vf in = f(gate(0) + peep(0) * old);
        const vf forget = input_forget ? 1.f - in : f(gate(2) + peep(2) * old);
        const vf cell = forget * old + in * g(gate(3));
        const vf v = f(gate(1) + peep(1) * cell) * out(cell);
        store_part(c + i * n + j, cell, lanes);
        store_part(h + i * n + j, v, lanes);
        store_part(to + j, v, lanes);
      });
    });
  }
}

}  // namespace
