// channels: channels of blocked values put together in another order.
// needs: vec run parallel
//
//   gather_channels(r, s, from, x_image, places, y)    places[c] = {which of the sources, floats into it} for channel c of y;
//   x_image: floats from image to image of each source
namespace {

struct Lanes {
  int channels;
  int64_t images, pixels, y_block, y_image;
};

MC_NOINLINE void gather_channels(Run& r, const Lanes& s, const float* const* from, const int64_t* x_image,
                                 const int32_t* places, float* y) {
  const int blocks = (s.channels + 15) / 16;
  parallel(r, int(s.images * blocks), [&](int item, int) {
    const int64_t image = item / blocks, block = item % blocks;
    const int lanes = s.channels - int(block) * 16 < 16 ? s.channels - int(block) * 16 : 16;
    float* to = y + image * s.y_image + block * s.y_block;
    const float* p[16];
    bool together = lanes == 16;
    for (int i = 0; i < 16; i++) {
      const int32_t* place = places + (block * 16 + (i < lanes ? i : 0)) * 2;
      p[i] = from[place[0]] + image * x_image[place[0]] + place[1];
      together &= p[i] == p[0] + i;
    }
    if (together) {
      memcpy(to, p[0], size_t(s.pixels) * 64);
      return;
    }
    for (int64_t i = 0; i < s.pixels * 16; i += 16)
      MC_UNROLL for (int k = 0; k < 16; k++) to[i + k] = p[k][i];
  });
}

}  // namespace
