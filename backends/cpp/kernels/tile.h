// The micro-tile every matrix product runs through: MR pixels by NB blocks of 16 output channels in registers.
// needs: vec epilogue parallel
//
// A product is y[pixel][k] = sum over input blocks, taps and channels of x * w. The pixels of x lie PS floats apart (16:
// blocked; 1: planar), its blocks `xs`, and tap t starts off[t] floats from the pixel. The weights of a panel (32 output
// channels, or 16 for an odd last one) are one linear stream, `ws` = 32 or 16 floats a step, in the order
// [input block][tap][channel of the block][ws]; the last block has only the rows of its real channels, so pad lanes of x
// are never read. Smaller instruction sets walk the same stream one block of 16 at a time.
namespace {

struct Tile {
  const ptrdiff_t* off;  // [taps], floats
  int taps;
  int full, tail;  // whole blocks of 16 channels; channels of a last partial one (planar: channels, 0)
  size_t xs;       // floats between input blocks (planar: channels)
  size_t ys;       // floats between output blocks
  size_t rs;       // floats between residual blocks
  ptrdiff_t jump;  // with SPLIT: floats from the first half's end to the second half's first pixel
  int accumulate;  // the sum is added to y, without the bias
  float lo, hi;
  int half = 0;  // the panel's last block has at most 8 channels; its other lanes may stay as they are
};

const ptrdiff_t NO_TAPS[1] = {0};
// Steps of weights that are asked for beforehand: about 1,000 cycles of them, as long as memory takes with some to spare.
constexpr int PREFETCH_STEPS = MC_VL == 16 ? 48 : MC_VL == 8 ? 160 : 96, TILE_AHEAD = 1;
#ifndef MCONV_SUM_TERMS
#define MCONV_SUM_TERMS 512
#endif
constexpr int SUM_TERMS = MCONV_SUM_TERMS;

template <int MR, int NB, int PS, bool SPLIT>
MC_NOINLINE void tile(const Tile& t, const float* __restrict x, const float* __restrict w, size_t ws,
                      const float* __restrict bias, const float* res, float* y) {
  constexpr int NV = NB * VPB;
  vf acc[MR][NV];
  MC_UNROLL for (int v = 0; v < NV; v++) {
    const vf b = t.accumulate ? vf{} : load(bias + v * VL);
    MC_UNROLL for (int m = 0; m < MR; m++) acc[m][v] = b;
  }
  const int blocks = t.full + (PS == 16 && t.tail > 0), taps = t.taps;
  for (int cb = 0; cb < blocks; cb++) {
    const int n = PS == 1 ? 1 : cb < t.full ? 16 : t.tail;
    for (int i = 0; i < taps; i++) {
      const float* p = x + t.off[i];
      const float* q = SPLIT ? p + t.jump : p;
      for (int c = 0; c < n; c++) {
        vf wv[NV];
        MC_UNROLL for (int v = 0; v < NV; v++) wv[v] = load(w + v * VL);
        MC_UNROLL for (int v = 0; v < NB; v++) __builtin_prefetch(w + PREFETCH_STEPS * 16 * TILE_BLOCKS + v * 16, 0, 2);
        MC_UNROLL for (int m = 0; m < MR; m++) {
          if (!SPLIT && m > TILE_AHEAD) MC_AFTER(p, acc[m - 1 - TILE_AHEAD]);
          const vf xv = splat((SPLIT && m >= MR / 2 ? q : p)[m * PS]);
          MC_UNROLL for (int v = 0; v < NV; v++) acc[m][v] += xv * wv[v];
        }
        p++, w += ws;
        if (SPLIT) q++;
      }
    }
    x += t.xs;
  }
  if (t.accumulate) {
    MC_UNROLL for (int m = 0; m < MR; m++)
      MC_UNROLL for (int v = 0; v < NV; v++) acc[m][v] += load(y + (v / VPB) * t.ys + m * 16 + (v % VPB) * VL);
  }
  if (res) {
    MC_UNROLL for (int m = 0; m < MR; m++)
      MC_UNROLL for (int v = 0; v < NV; v++) acc[m][v] += load(res + (v / VPB) * t.rs + m * 16 + (v % VPB) * VL);
  }
  if (t.lo > -INF) {
    const vf lo = splat(t.lo);
    MC_UNROLL for (int m = 0; m < MR; m++) MC_UNROLL for (int v = 0; v < NV; v++) acc[m][v] = vmax(lo, acc[m][v]);
  }
  if (t.hi < INF) {
    const vf hi = splat(t.hi);
    MC_UNROLL for (int m = 0; m < MR; m++) MC_UNROLL for (int v = 0; v < NV; v++) acc[m][v] = vmin(hi, acc[m][v]);
  }
  MC_UNROLL for (int v = 0; v < NV; v++)
    MC_UNROLL for (int m = 0; m < MR; m++) store(y + (v / VPB) * t.ys + m * 16 + (v % VPB) * VL, acc[m][v]);
}

typedef void (*TileFn)(const Tile&, const float*, const float*, size_t, const float*, const float*, float*);
template <int PS, bool SPLIT, int NB>
MC_INLINE TileFn tile_of(int mr) {
#define MC_TILE(n) (n <= TILE_PIXELS ? tile<n <= TILE_PIXELS ? n : 1, NB, PS, SPLIT> : nullptr)
  if constexpr (SPLIT) {
    static constexpr TileFn even[] = {MC_TILE(2), MC_TILE(4), MC_TILE(6), MC_TILE(8), MC_TILE(10), MC_TILE(12), MC_TILE(14)};
    return even[mr / 2 - 1];
  } else {
    static constexpr TileFn any[] = {MC_TILE(1), MC_TILE(2), MC_TILE(3),  MC_TILE(4),  MC_TILE(5),  MC_TILE(6),  MC_TILE(7),
                                     MC_TILE(8), MC_TILE(9), MC_TILE(10), MC_TILE(11), MC_TILE(12), MC_TILE(13), MC_TILE(14)};
    return any[mr - 1];
  }
#undef MC_TILE
}

// With 16 lanes a last block of at most 8 channels is half a vector, of which such machines can compute two at once.
// Only where the macro tells that the model has such products.
#if defined(MCONV_HALF_BLOCKS) && MC_VL == 16
typedef float vh __attribute__((vector_size(32)));
constexpr int HALF_PIXELS = 11;  // tiles of most images have so many; each size costs time to compile

template <int MR, int NB>
MC_NOINLINE void half_tile(const Tile& t, const float* __restrict x, const float* __restrict w, size_t ws,
                           const float* __restrict bias, const float* res, float* y) {
  constexpr int L = NB - 1;  // whole blocks, and the half one's number
  vf acc[MR][L + 1];
  vh last[MR];
  MC_UNROLL for (int m = 0; m < MR; m++) {
    if (L) acc[m][0] = t.accumulate ? vf{} : load(bias);
    last[m] = t.accumulate ? vh{} : *(const vh*)(bias + L * 16);
  }
  const int blocks = t.full + (t.tail > 0), taps = t.taps;
  for (int cb = 0; cb < blocks; cb++) {
    const int n = cb < t.full ? 16 : t.tail;
    for (int i = 0; i < taps; i++) {
      const float* p = x + t.off[i];
      for (int c = 0; c < n; c++) {
        const vf wv = load(w);
        const vh wh = *(const vh*)(w + L * 16);
        MC_UNROLL for (int v = 0; v < NB; v++) __builtin_prefetch(w + PREFETCH_STEPS * 16 * TILE_BLOCKS + v * 16, 0, 2);
        MC_UNROLL for (int m = 0; m < MR; m++) {
          const vf xv = splat(p[m * 16]);
          if (L) acc[m][0] += xv * wv;
          last[m] += __builtin_shufflevector(xv, xv, 0, 1, 2, 3, 4, 5, 6, 7) * wh;
        }
        p++, w += ws;
      }
    }
    x += t.xs;
  }
  MC_UNROLL for (int m = 0; m < MR; m++) {
    float* o = y + m * 16;
    const float* q = res + m * 16;
    if (L) {
      if (t.accumulate) acc[m][0] += load(o);
      if (res) acc[m][0] += load(q);
      store(o, clamp(acc[m][0], t.lo, t.hi));
    }
    vh v = last[m];
    if (t.accumulate) v += *(const vh*)(o + L * t.ys);
    if (res) v += *(const vh*)(q + L * t.rs);
    const vh lo = t.lo - vh{}, hi = t.hi - vh{};
    v = lo > v ? lo : v;
    *(vh*)(o + L * t.ys) = hi < v ? hi : v;
  }
}
template <int NB>
MC_INLINE TileFn half_tile_of(int mr) {
  static constexpr TileFn all[] = {half_tile<11, NB>, half_tile<12, NB>, half_tile<13, NB>, half_tile<14, NB>};
  return all[mr - HALF_PIXELS];
}
#endif

template <int PS, bool SPLIT>
MC_INLINE void panel_part(const Tile& t, int mr, int nb, const float* x, const float* w, const float* bias,
                          const float* res, float* y) {
#if defined(MCONV_HALF_BLOCKS) && MC_VL == 16
  if constexpr (PS == 16 && !SPLIT)
    if (t.half && mr >= HALF_PIXELS)
      return (nb == 2 ? half_tile_of<2>(mr) : half_tile_of<1>(mr))(t, x, w, nb * 16, bias, res, y);
#endif
  if constexpr (TILE_BLOCKS == 2) {
    if (SPLIT || nb == 2) return tile_of<PS, SPLIT, 2>(mr)(t, x, w, 32, bias, res, y);
  }
  if constexpr (!SPLIT) {
    for (int n = 0; n < nb; n++)
      tile_of<PS, false, 1>(mr)(t, x, w + n * 16, nb * 16, bias + n * 16, res ? res + n * t.rs : nullptr, y + n * t.ys);
  }
}

// One tile of a panel of nb blocks (2 with SPLIT). bias: nb * 16 floats or nullptr; res: nullptr = none.
// Long sums are added up in parts of about SUM_TERMS, each begun at zero: so their rounding errors grow with the root of
// a part's length, not of the whole. A part is some blocks, or some taps of one.
template <int PS, bool SPLIT>
MC_INLINE void panel_tile(const Tile& t, int mr, int nb, const float* x, const float* w, const float* bias,
                          const float* res, float* y) {
  if (!bias) bias = ZEROS;
  const int lanes = PS == 1 ? 1 : t.full ? 16 : imax(1, t.tail), step = lanes * imax(1, t.taps);  // no taps: no blocks
  const int most = SUM_TERMS / step;
  if (most && t.full <= most + most / 2) return panel_part<PS, SPLIT>(t, mr, nb, x, w, bias, res, y);
  const Split blocks(most ? t.full : t.full + (t.tail > 0), imax(1, most));
  const Split taps(t.taps, most ? t.taps : imax(1, SUM_TERMS / lanes));
  for (int i = 0; i < blocks.parts; i++)
    for (int j = 0; j < taps.parts; j++) {
      const int begin = blocks.begin(i), full = imin(blocks.size(i), t.full - begin);
      const int tail = i + 1 == blocks.parts ? t.tail : 0;
      const bool end = i + 1 == blocks.parts && j + 1 == taps.parts;
      const Tile part{t.off + taps.begin(j), taps.size(j), full, tail, t.xs, t.ys, t.rs, t.jump,
                      t.accumulate || i + j > 0, end ? t.lo : -INF, end ? t.hi : INF, t.half};
      panel_part<PS, SPLIT>(part, mr, nb, x + begin * t.xs, w, bias, end ? res : nullptr, y);
      w += (size_t)(full * lanes + tail) * taps.size(j) * nb * 16;
    }
}

}  // namespace
