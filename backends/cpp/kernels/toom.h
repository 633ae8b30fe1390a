// The one-dimensional transforms of minimal filtering, F(M, R): M results of a filter with R taps from M + R - 1 products.
// needs: vec
//
//   Toom<M, R>::input(d, o)          A = M + R - 1 inputs to A values
//   Toom<M, R>::filter(g, step, o)   R taps, `step` apart, to A values
//   Toom<M, R>::output(m, o)         A products to M results
//   A polynomial of degree A - 1 is known by its values at A points: here plus and minus point(0 .. PAIRS), 0 where ZERO,
//   and infinity; the sums over a pair are shared. After Toom and Cook, and Winograd, "Arithmetic Complexity of
//   Computations", 1980. The points are those of a grid that left the least error in two dimensions.
namespace {

template <int M, int R> struct ToomPoints;
template <> struct ToomPoints<2, 3> {
  static constexpr int PAIRS = 1, ZERO = 1;
  static constexpr double point(int) { return 1; }
};
template <> struct ToomPoints<4, 3> {
  static constexpr int PAIRS = 2, ZERO = 1;
  static constexpr double point(int i) { return i == 0 ? 0.7071067811865476 : 1.4142135623730951; }
};
template <> struct ToomPoints<5, 3> {
  static constexpr int PAIRS = 3, ZERO = 0;
  static constexpr double point(int i) { return i == 0 ? 0.25 : i == 1 ? 0.875 : 1.75; }
};
template <> struct ToomPoints<6, 3> {
  static constexpr int PAIRS = 3, ZERO = 1;
  static constexpr double point(int i) { return i == 0 ? 0.5 : i == 1 ? 1 : 2; }
};
template <> struct ToomPoints<4, 4> {
  static constexpr int PAIRS = 3, ZERO = 0;
  static constexpr double point(int i) { return i == 0 ? 0.375 : i == 1 ? 1 : 1.75; }
};

template <class Points, int M>
struct ToomTables {
  static constexpr int P = Points::PAIRS;
  // Coefficients, in z = x * x, of the product of z - point * point over the pairs but one: [pair left out][power of z].
  // In the last row none is left out.
  double product[P + 1][P + 1] = {};
  double power[P][M] = {};  // of the points
  constexpr ToomTables() {
    for (int without = 0; without <= P; without++) {
      double* c = product[without];
      c[0] = 1;
      for (int i = 0; i < P; i++) {
        if (i == without) continue;
        for (int k = P; k >= 0; k--) c[k] = (k ? c[k - 1] : 0) - Points::point(i) * Points::point(i) * c[k];
      }
    }
    for (int i = 0; i < P; i++)
      for (int j = 0; j < M; j++) power[i][j] = j ? power[i][j - 1] * Points::point(i) : 1;
  }
};

template <int M_, int R_>
struct Toom {
  typedef ToomPoints<M_, R_> Points;
  static constexpr int M = M_, R = R_, A = M + R - 1, P = Points::PAIRS, Z = Points::ZERO;
  static constexpr ToomTables<Points, M> TABLES{};
  static_assert(A == 2 * P + Z + 1, "as many points as values");

  // The values stand in this order: 0, plus and minus point(0), plus and minus point(1), ..., infinity.
  MC_INLINE void input(const vf* d, vf* o) {
    MC_UNROLL for (int i = 0; i < P; i++) {
      const double* c = TABLES.product[i];
      vf sum = d[2 * P - 1 + Z], times = (float)Points::point(i) * d[2 * P - 2 + Z];
      MC_UNROLL for (int k = P - 2; k >= 0; k--) {
        sum += (float)c[k] * d[2 * k + 1 + Z];
        times += (float)(Points::point(i) * c[k]) * d[2 * k + Z];
      }
      o[Z + 2 * i] = sum + times;
      o[Z + 2 * i + 1] = sum - times;
    }
    const double* c = TABLES.product[P];
    vf zero = d[2 * P], infinity = d[2 * P + Z];
    MC_UNROLL for (int k = P - 1; k >= 0; k--) {
      if (Z) zero += (float)c[k] * d[2 * k];
      infinity += (float)c[k] * d[2 * k + Z];
    }
    if (Z) o[0] = zero;
    o[A - 1] = infinity;
  }

  MC_INLINE void output(const vf* m, vf* o) {
    vf sum[P], difference[P];
    MC_UNROLL for (int i = 0; i < P; i++) {
      sum[i] = m[Z + 2 * i] + m[Z + 2 * i + 1];
      difference[i] = m[Z + 2 * i] - m[Z + 2 * i + 1];
    }
    MC_UNROLL for (int j = 0; j < M; j++) {
      const vf* of = j % 2 ? difference : sum;
      vf r = (float)TABLES.power[0][j] * of[0];
      MC_UNROLL for (int i = 1; i < P; i++) r += (float)TABLES.power[i][j] * of[i];
      if (Z && j == 0) r += m[0];
      if (j == M - 1) r += m[A - 1];
      o[j] = r;
    }
  }

  static void filter(const double* g, int step, double* o) {
    for (int i = 0; i < P; i++) {
      const double p = Points::point(i);
      double at = 0, even = 0, odd = 0;
      for (int k = P - 1; k >= 0; k--) at = at * p * p + TABLES.product[i][k];
      for (int r = R - 1; r >= 0; r--) (r % 2 ? odd : even) = (r % 2 ? odd : even) * p * p + g[r * step];
      const double all = 2 * at * (Z ? p * p : p), value = (Z ? 1 : -1) * (even - odd * p) / all;
      o[Z + 2 * i] = (even + odd * p) / all;
      o[Z + 2 * i + 1] = value;
    }
    if (Z) o[0] = g[0] / TABLES.product[P][0];
    o[A - 1] = g[(R - 1) * step];
  }
};

}  // namespace
