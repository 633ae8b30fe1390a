// Scaled dot-product attention.
// needs: vec run parallel epilogue tile norm matmul
//
//   struct Attention     y = softmax(scale * q k^T + mask) v, heads and tokens blocked: [D/16][T][16] each head
//     heads              qh, kh, vh, yh: floats between two heads (kh may repeat: see `share`)
//     share              query heads that use the same key and value head (1: each its own)
//     tq, tk, d, dv      query and key tokens, width of a head of q and k, of v
//     qs, ks, vs, ys     floats between two 16-channel blocks
//     scale, causal      causal: token i sees the keys up to i + tk - tq
//     mh                 floats between the masks of two heads (0: one for all); mask [tq][tk] is added, nullptr = none
//     rows               query tokens together: attention_plan()
//   attention(r, s, q, k, v, mask, y)      scratch per worker: attention_plan()
namespace {

struct Attention {
  int heads, share;
  int tq, tk, d, dv;
  size_t qh, kh, vh, yh;
  size_t qs, ks, vs, ys;
  float scale;
  int causal;
  size_t mh;
  int rows;
};

// Row i of the scores, blocked [tk/16][stride]: scaled, masked, through softmax; lanes beyond tk become 0.
MC_NOINLINE void attention_row(float* p, size_t stride, int tk, int seen, float scale, const float* mask) {
  const int n = imin(tk, seen);
  vf top = splat(-INF), sum = vf{};
  for (int b = 0; b * 16 < tk; b++)
    for (int v = 0; v < 16; v += VL) {
      float* q = p + b * stride + v;
      const int at = b * 16 + v;
      vf s = load(q) * scale;
      if (mask) {
        if (at + VL <= tk) s += loadu(mask + at);
        else for (int i = 0; at + i < tk; i++) s[i] += mask[at + i];
      }
      if (at + VL > n) s = select(lanes_below(n - at), s, splat(-INF));
      store(q, s);
      top = vmax(top, s);
    }
  const float most = hmax(top);
  for (int b = 0; b * 16 < tk; b++)
    for (int v = 0; v < 16; v += VL) {
      float* q = p + b * stride + v;
      vf x = load(q) - most;
      vf e = select(x < splat(-87.f), vf{}, vexp(x));
      store(q, e);
      sum += e;
    }
  const float factor = 1.f / hsum(sum);
  for (int b = 0; b * 16 < tk; b++)
    for (int v = 0; v < 16; v += VL) store(p + b * stride + v, load(p + b * stride + v) * factor);
}

MC_NOINLINE void attention(Run& r, const Attention& s, const float* q, const float* k, const float* v, const float* mask,
                           float* y) {
  const int parts = r.threads > 1 && s.heads < 2 * r.threads ? imin(ceil_div(s.tq, TILE_PIXELS), 2 * r.threads) : 1;
  const Split share(s.tq, ceil_div(s.tq, parts));
  const int kb = ceil_div(s.tk, 16), vb = ceil_div(s.dv, 16);
  parallel(r, s.heads * share.parts, [&](int item, int worker) {
    const int h = item / share.parts, part = item % share.parts;
    float* wk = r.scratch(worker);
    float *wv = wk + (size_t)kb * 16 * s.d, *scores = wv + (size_t)vb * 16 * s.tk;
    const float *kp = k + h / s.share * s.kh, *vp = v + h / s.share * s.vh;
    // keys become columns: lane = token
    for (int t = 0; t < s.tk; t += 32) {
      const int lanes = s.tk - t > 16 ? 32 : 16;
      float* o = wk + (size_t)t * s.d;
      for (int i = 0; i < lanes; i++)
        for (int c = 0; c < s.d; c++) o[(size_t)c * lanes + i] = t + i < s.tk ? kp[c / 16 * s.ks + (size_t)(t + i) * 16 + c % 16] : 0.f;
    }
    for (int b = 0; b < vb; b += 2) {
      const int lanes = imin(2, vb - b) * 16;
      for (int t = 0; t < s.tk; t++)
        for (int i = 0; i < lanes; i += VL) store(wv + (size_t)b * 16 * s.tk + (size_t)t * lanes + i, load(vp + (b + i / 16) * s.vs + (size_t)t * 16 + i % 16));
    }
    const int end = share.begin(part) + share.size(part);
    for (int row = share.begin(part); row < end; row += s.rows) {
      const int n = imin(s.rows, end - row);
      const size_t stride = (size_t)n * 16;
      product(q + h * s.qh + (size_t)row * 16, s.qs, s.d, wk, s.tk, n, scores, stride);
      for (int i = 0; i < n; i++)
        attention_row(scores + i * 16, stride, s.tk, s.causal ? row + i + s.tk - s.tq + 1 : s.tk, s.scale,
                      mask ? mask + h * s.mh + (size_t)(row + i) * s.tk : nullptr);
      product(scores, stride, s.tk, wv, s.dv, n, y + h * s.yh + (size_t)row * 16, s.ys);
    }
  });
}

}  // namespace
