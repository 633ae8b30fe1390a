// Channels scaled and shifted: y = post(x * scale + shift), as a batch norm that no product took in.
// needs: vec run parallel epilogue
//
//   affine(r, c, pixels, xs, ys, x, scale, shift, post, slope, y)   blocked; scale, shift [C/16][16]; of `post` the clamp
//                                                                   and the activation; y may be x
namespace {

MC_NOINLINE void affine(Run& r, int c, int pixels, size_t xs, size_t ys, const float* x, const float* scale,
                        const float* shift, const Post& post, const float* slope, float* y) {
  const int blocks = ceil_div(c, 16);
  const Split parts(pixels, r.threads > 1 ? imax(64, ceil_div(pixels * blocks, 8 * r.threads)) : pixels);
  parallel(r, blocks * parts.parts, [&](int item, int) {
    const int cb = item / parts.parts, part = item % parts.parts;
    const size_t first = (size_t)parts.begin(part) * 16;
    const float* p = x + cb * xs + first;
    float* o = y + cb * ys + first;
    const int n = parts.size(part) * 16;
    const vf lo = splat(post.lo), hi = splat(post.hi);
    vf a[VPB], b[VPB];
    MC_UNROLL for (int v = 0; v < VPB; v++) {
      a[v] = load(scale + cb * 16 + v * VL);
      b[v] = load(shift + cb * 16 + v * VL);
    }
    for (int i = 0; i < n; i += 16)
      MC_UNROLL for (int v = 0; v < VPB; v++)
        store(o + i + v * VL, vmin(hi, vmax(lo, load(p + i + v * VL) * a[v] + b[v])));
    finish(post, o, ys, 1, parts.size(part), slope ? slope + cb * 16 : nullptr, nullptr);
  });
}

}  // namespace
