// scalar: arithmetic of single elements of any type, as the operators define it.
// needs: vec
//
//   half, bfloat          16-bit floats: converted to float for arithmetic, rounded to even on the way back
//   cast<To>(x)           floats to integers by truncation, and what does not fit wraps; to bool all but zero is true
//   plus, minus, times, negated, magnitude     integers wrap, without undefined behaviour
//   divided, floor_mod, trunc_mod, power       integers: 0 where the divisor is 0
//   greater, lesser       NaN where either is one
//   shifted_left, shifted_right, sign_of_number, rounded
#include <utility>

namespace {

MC_INLINE uint32_t bits_of(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  return u;
}
MC_INLINE float float_of(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}

struct half {
  uint16_t bits;
  half() = default;
  half(float f) {
    const uint32_t u = bits_of(f), a = u & 0x7fffffffu;
    const uint32_t normal = (a + 0xc8000fffu + (a >> 13 & 1u)) >> 13;               // exponent rebased, rounded to even
    const uint32_t tiny = bits_of(float_of(a) + 0.5f) - 0x3f000000u;                 // below 2^-14: steps of 2^-24
    const uint32_t beyond = a > 0x7f800000u ? 0x7e00u : 0x7c00u;
    bits = uint16_t((a >= 0x47800000u ? beyond : a < 0x38800000u ? tiny : normal) | (u >> 16 & 0x8000u));
  }
  operator float() const {
    const uint32_t a = uint32_t(bits & 0x7fffu) << 13;
    const uint32_t u = bits_of(float_of(a) * 5.192296858534828e33f);                 // 2^112
    const uint32_t top = (bits & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
    return float_of(u | top | uint32_t(bits & 0x8000u) << 16);
  }
};

struct bfloat {
  uint16_t bits;
  bfloat() = default;
  bfloat(float f) {
    const uint32_t u = bits_of(f);
    bits = uint16_t((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16 | 0x40u) : (u + 0x7fffu + (u >> 16 & 1u)) >> 16);
  }
  operator float() const { return float_of(uint32_t(bits) << 16); }
};

template <class T> struct Kind {  // what arithmetic of T is done in, and its unsigned twin
  static constexpr bool whole = true, sign = T(-1) < T(0);
};
template <> struct Kind<float> { static constexpr bool whole = false, sign = true; };
template <> struct Kind<double> { static constexpr bool whole = false, sign = true; };
template <> struct Kind<half> { static constexpr bool whole = false, sign = true; };
template <> struct Kind<bfloat> { static constexpr bool whole = false, sign = true; };

template <class T> constexpr bool is_half = false;
template <> constexpr bool is_half<half> = true;
template <> constexpr bool is_half<bfloat> = true;

template <class T> constexpr bool is_bool = false;
template <> constexpr bool is_bool<bool> = true;

// The least value of a type, and the greatest (infinities of floats).
template <class T> MC_INLINE T lowest() {
  if constexpr (is_bool<T>) return false;
  else if constexpr (!Kind<T>::whole) return T(-INF);
  else if constexpr (!Kind<T>::sign) return T(0);
  else return T(uint64_t(1) << (sizeof(T) * 8 - 1));
}
template <class T> MC_INLINE T highest() {
  if constexpr (is_bool<T>) return true;
  else if constexpr (!Kind<T>::whole) return T(INF);
  else return T(~lowest<T>());
}

MC_INLINE int64_t truncated(double x) {
  return x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? int64_t(x) : int64_t(uint64_t(1) << 63);
}

template <class To, class From> MC_INLINE To cast(From x) {
  if constexpr (Kind<From>::whole || !Kind<To>::whole) {
    if constexpr (is_half<To>) return To(float(x));
    else if constexpr (is_half<From>) return To(float(x));
    else return To(x);
  } else if constexpr (sizeof(To) == 8 && !Kind<To>::sign) {
    const double d = double(x);
    return d >= 9223372036854775808.0 && d < 18446744073709551616.0 ? To(d) : To(truncated(d));
  } else {
    return To(truncated(double(x)));
  }
}
template <class From> MC_INLINE bool truth(From x) {
  if constexpr (is_half<From>) return float(x) != 0;
  else return x != From(0);
}

template <class T> MC_INLINE T plus(T a, T b) {
  if constexpr (Kind<T>::whole) return T(uint64_t(a) + uint64_t(b));
  else return a + b;
}
template <class T> MC_INLINE T minus(T a, T b) {
  if constexpr (Kind<T>::whole) return T(uint64_t(a) - uint64_t(b));
  else return a - b;
}
template <class T> MC_INLINE T times(T a, T b) {
  if constexpr (Kind<T>::whole && sizeof(T) == 4) return T(uint32_t(a) * uint32_t(b));
  else if constexpr (Kind<T>::whole) return T(uint64_t(a) * uint64_t(b));
  else return a * b;
}
template <class T> MC_INLINE T negated(T a) {
  if constexpr (Kind<T>::whole) return T(0 - uint64_t(a));
  else return -a;
}
template <class T> MC_INLINE T magnitude(T a) {
  if constexpr (!Kind<T>::whole) return a < 0 ? -a : a == 0 ? T(0) : a;
  else if constexpr (Kind<T>::sign) return a < 0 ? T(0 - uint64_t(a)) : a;
  else return a;
}
template <class T> MC_INLINE T divided(T a, T b) {
  if constexpr (!Kind<T>::whole) return a / b;
  else if constexpr (Kind<T>::sign) return b == 0 ? T(0) : b == T(-1) ? T(0 - uint64_t(a)) : T(a / b);
  else return b == 0 ? T(0) : T(a / b);
}
template <class T> MC_INLINE T trunc_mod(T a, T b) {
  if constexpr (!Kind<T>::whole) return T(std::fmod(a, b));
  else if constexpr (Kind<T>::sign) return b == 0 || b == T(-1) ? T(0) : T(a % b);
  else return b == 0 ? T(0) : T(a % b);
}
template <class T> MC_INLINE T floor_mod(T a, T b) {
  const T rest = trunc_mod(a, b);
  if constexpr (!Kind<T>::whole) {
    if (rest == 0) return std::copysign(T(0), b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
  } else if constexpr (Kind<T>::sign) {
    return rest != 0 && (rest < 0) != (b < 0) ? T(rest + b) : rest;
  } else {
    return rest;
  }
}
// a to the b; of integers by squaring, with a negative exponent in floating point.
template <class T, class E> MC_INLINE T power(T a, E b) {
  if constexpr (!Kind<T>::whole) {
    if constexpr (sizeof(T) == 8 || (!Kind<E>::whole && sizeof(E) == 8)) return T(std::pow(double(a), double(b)));
    else return std::pow(a, float(b));
  } else if constexpr (!Kind<E>::whole) {
    return cast<T>(std::pow(double(a), double(b)));
  } else {
    if constexpr (Kind<E>::sign)
      if (b < 0) return cast<T>(std::pow(double(a), double(b)));
    uint64_t base = uint64_t(a), result = 1;
    for (uint64_t e = uint64_t(b); e; e >>= 1, base *= base)
      if (e & 1) result *= base;
    return T(result);
  }
}
template <class T> MC_INLINE T greater(T a, T b) { return a > b || a != a ? a : b; }
template <class T> MC_INLINE T lesser(T a, T b) { return a < b || a != a ? a : b; }
template <class T> MC_INLINE T shifted_left(T a, T b) {
  return b < T(0) || uint64_t(b) >= sizeof(T) * 8 ? T(0) : T(uint64_t(a) << uint64_t(b));
}
template <class T> MC_INLINE T shifted_right(T a, T b) {
  return b < T(0) || uint64_t(b) >= sizeof(T) * 8 ? T(a < T(0) ? -1 : 0) : T(a >> b);
}
template <class T> MC_INLINE T sign_of_number(T a) { return a > T(0) ? T(1) : a < T(0) ? T(-1) : a; }
// The nearest number of an integer type.
template <class T> MC_INLINE T saturated(double x) {
  return x >= double(highest<T>()) ? highest<T>() : x > double(lowest<T>()) ? T(x) : lowest<T>();
}
template <class T> MC_INLINE T softplus_of(T a) { return (a > 0 ? a : T(0)) + std::log1p(std::exp(-std::fabs(a))); }
template <class T> MC_INLINE T sigmoid_of(T a) {
  const T e = std::exp(-std::fabs(a));
  return (a >= 0 ? T(1) : e) / (1 + e);
}

}  // namespace
