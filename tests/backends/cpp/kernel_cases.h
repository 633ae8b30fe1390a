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
