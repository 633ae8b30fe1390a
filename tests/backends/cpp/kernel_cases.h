// The body of run_case's switch: a case per kernel. a[0] x, a[1] w, a[2] bias, a[3] residual, a[4] slope, a[5] y, then more.
#define SIDE Side{a[2], a[3], a[4]}
case 1: {
  Pointwise s;
  s.c = (int)n.next(), s.k = (int)n.next(), s.w = (int)n.next(), s.xs = (size_t)n.next(), s.ys = (size_t)n.next();
  s.xring = (int)n.next(), s.yring = (int)n.next(), s.block = (int)n.next(), s.scale = (int)n.next();
  s.post = post_of(n, floats);
  const int y0 = (int)n.next(), y1 = (int)n.next();
  if (s.scale) pointwise_scaled(r, s, a[0], a[6], a[1], SIDE, a[5], y0, y1);
  else pointwise(r, s, a[0], a[1], SIDE, a[5], y0, y1);
  break;
}
#define CONV_CASE(number, call)                        \
  case number: {                                       \
    const Conv2d s = conv_of(n, floats);               \
    const int y0 = (int)n.next(), y1 = (int)n.next();  \
    call;                                              \
    break;                                             \
  }
CONV_CASE(2, conv2d(r, s, a[0], a[1], SIDE, a[5], y0, y1))
CONV_CASE(3, conv2d_planar(r, s, a[0], a[1], SIDE, a[5], y0, y1))
CONV_CASE(10, depthwise_any(r, s, a[0], a[1], SIDE, a[5], y0, y1))
CONV_CASE(11, (depthwise<3, 1>(r, s, a[0], a[1], SIDE, a[5], y0, y1)))
CONV_CASE(12, (depthwise<3, 2>(r, s, a[0], a[1], SIDE, a[5], y0, y1)))
CONV_CASE(13, (depthwise<5, 1>(r, s, a[0], a[1], SIDE, a[5], y0, y1)))
CONV_CASE(14, (depthwise<5, 2>(r, s, a[0], a[1], SIDE, a[5], y0, y1)))
CONV_CASE(15, (depthwise<7, 1>(r, s, a[0], a[1], SIDE, a[5], y0, y1)))
CONV_CASE(16, (depthwise<7, 2>(r, s, a[0], a[1], SIDE, a[5], y0, y1)))
CONV_CASE(20, max_pool(r, s, a[0], a[5], y0, y1))
CONV_CASE(21, average_pool(r, s, floats[4], a[0], a[5], y0, y1))
case 22:
case 23: {
  const int c = (int)n.next(), pixels = (int)n.next();
  const size_t xs = (size_t)n.next(), ys = (size_t)n.next();
  (kernel == 22 ? global_average : global_max)(r, c, pixels, xs, ys, a[0], a[5]);
  break;
}
case 30: {  // an activation over [n][16] channels
  const Post post = post_of(n, floats);
  activate(a[5], (int)n.next(), post, a[4]);
  break;
}
case 40: {  // a[6] holds the transformed weights
  const Conv2d s = conv_of(n, floats);
  const int y0 = (int)n.next(), y1 = (int)n.next(), tile = (int)n.next(), ready = (int)n.next();
  const auto convolve = [&](auto weights, auto convolution) {
    if (!ready) weights(s.c, s.k, a[1], a[6]);
    convolution(r, s, a[0], a[6], SIDE, a[5], y0, y1);
  };
  if (tile == 2) convolve(winograd_weights<2>, winograd<2>);
  if (tile == 4) convolve(winograd_weights<4>, winograd<4>);
  if (tile == 5) convolve(winograd_weights<5>, winograd<5>);
  if (tile == 6) convolve(winograd_weights<6>, winograd<6>);
  break;
}
case 42: {
  const Conv2d s = conv_of(n, floats);
  const int y0 = (int)n.next(), y1 = (int)n.next();
  stem_weights(s.c, s.k, s.kh, s.kw, a[1], a[6]);
  stem(r, s, a[0], a[6], SIDE, a[5], y0, y1);
  break;
}
#define LANES(number, cg, kw, sx) CONV_CASE(number, (conv2d_lanes<cg, kw, sx>(r, s, a[0], a[1], SIDE, a[5], y0, y1)))
LANES(50, 2, 3, 1)
LANES(51, 4, 3, 1)
LANES(52, 8, 3, 1)
LANES(53, 4, 3, 2)
LANES(54, 8, 5, 2)
CONV_CASE(55, conv2d_groups(r, s, (int)n.next(), a[0], a[1], SIDE, a[5], y0, y1))
CONV_CASE(56, conv2d_grouped(r, s, (int)n.next(), a[0], a[1], SIDE, a[5], y0, y1))
CONV_CASE(60, conv2d_transposed(r, s, a[0], a[1], SIDE, a[5], y0, y1))
CONV_CASE(61, depthwise_transposed(r, s, a[0], a[1], SIDE, a[5], y0, y1))
case 70:
case 71:
case 72: {
  const int c = (int)n.next(), groups = (int)n.next(), pixels = (int)n.next();
  const size_t xs = (size_t)n.next();
  if (kernel == 70) layer_norm(r, c, pixels, floats[4], xs, xs, a[0], a[1], a[2], a[5]);
  if (kernel == 71) rms_norm(r, c, pixels, floats[4], xs, xs, a[0], a[1], a[2], a[5]);
  if (kernel == 72) group_norm(r, c, groups, pixels, floats[4], xs, xs, a[0], a[1], a[2], a[5]);
  break;
}
case 73: {
  const int c = (int)n.next(), pixels = (int)n.next();
  const size_t xs = (size_t)n.next();
  softmax_channels(r, c, pixels, n.next() != 0, xs, xs, a[0], a[5]);
  break;
}
case 74: {
  const int rows = (int)n.next(), width = (int)n.next();
  softmax_rows(r, rows, width, n.next() != 0, a[0], a[5]);
  break;
}
case 80: {
  MatMul s;
  s.m = (int)n.next(), s.n = (int)n.next(), s.k = (int)n.next(), s.batch = (int)n.next();
  s.xb = (size_t)n.next(), s.zb = (size_t)n.next(), s.yb = (size_t)n.next();
  s.xr = (size_t)n.next(), s.zr = (size_t)n.next(), s.yr = (size_t)n.next();
  s.zt = (int)n.next();
  s.post = post_of(n, floats);
  matmul(r, s, a[0], a[1], a[5]);
  break;
}
case 81: {
  Attention s;
  s.heads = (int)n.next(), s.share = (int)n.next(), s.tq = (int)n.next(), s.tk = (int)n.next(), s.d = (int)n.next();
  s.dv = (int)n.next();
  size_t* fields[] = {&s.qh, &s.kh, &s.vh, &s.yh, &s.qs, &s.ks, &s.vs, &s.ys};
  for (size_t* field : fields) *field = (size_t)n.next();
  s.scale = floats[4], s.causal = (int)n.next(), s.mh = (size_t)n.next(), s.rows = (int)n.next();
  attention(r, s, a[0], a[1], a[2], a[3], a[5]);
  break;
}
case 90: {  // a[6] holds the weights of the seven products
  Pointwise s;
  s.c = (int)n.next(), s.k = (int)n.next(), s.w = (int)n.next(), s.xs = (size_t)n.next(), s.ys = (size_t)n.next();
  s.xring = (int)n.next(), s.yring = (int)n.next(), s.block = (int)n.next(), s.scale = (int)n.next();
  s.post = post_of(n, floats);
  const int y0 = (int)n.next(), y1 = (int)n.next();
  if (!n.next()) strassen_weights(s.c, s.k, a[1], a[6]);
  pointwise_strassen(r, s, a[0], a[6], SIDE, a[5], y0, y1);
  break;
}
