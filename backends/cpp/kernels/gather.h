// 1x1 convolution of an image whose channels lie apart: off[c] floats from `base` is channel c's first pixel, and pixels
// are 16 floats apart.
// needs: vec run parallel epilogue tile gemm
//
//   pointwise_gathered(r, s, base, off, w, side, y)     as `pointwise` over all pixels (s.w of them); s.xs unused
namespace {

MC_NOINLINE void pointwise_gathered(Run& r, const Pointwise& s, const float* base, const ptrdiff_t* off, const float* w,
                                    const Side& e, float* y) {
  const Post& post = s.post;
  const int blocks = ceil_div(s.k, 16), panels = ceil_div(blocks, 2);
  // a channel is a tap of one channel, of a single input block
  const Tile t{off, s.c, 0, 1, 0, s.ys, post.rs, 0, 0, post.lo, post.hi};
  const int most = r.threads > 1 ? imin(s.block, imax(2 * TILE_PIXELS, ceil_div(s.w, 8 * r.threads))) : s.block;
  const Split parts(s.w, imax(1, most));
  const int want = r.threads > 1 ? imin(panels, ceil_div(8 * r.threads, parts.parts)) : 1;
  const Split groups(panels, ceil_div(panels, want));
  parallel(r, parts.parts * groups.parts, [&](int item, int) {
    const int part = item / groups.parts, g = item % groups.parts;
    const Split split(parts.size(part), TILE_PIXELS);
    for (int q = groups.begin(g); q < groups.begin(g) + groups.size(g); q++) {
      const int k = q * 2, nb = imin(2, blocks - k);
      const float* wq = w + (size_t)q * s.c * 32;
      for (int i = 0; i < split.parts; i++) {
        const size_t p = (size_t)(parts.begin(part) + split.begin(i)) * 16;
        float* yt = y + k * s.ys + p;
        const float* rt = e.residual ? e.residual + k * post.rs + p : nullptr;
        panel_tile<16, false>(t, split.size(i), nb, base + p, wq, e.bias ? e.bias + k * 16 : nullptr,
                              post.after ? nullptr : rt, yt);
        finish(post, yt, s.ys, nb, split.size(i), e.slope ? e.slope + k * 16 : nullptr, rt);
      }
    }
  });
}

}  // namespace
