// The shape of whatever slides a window over an image: convolution, depthwise convolution, pooling.
// needs: vec epilogue
//
//   struct Conv2d
//     c, k             input and output channels
//     h, w, oh, ow     rows and columns of the image and of the result
//     kh, kw           window;  sy, sx stride;  dy, dx dilation;  py, px rows / columns of padding above / left (what is
//                      needed below and right follows from oh and ow)
//     xs, ys           floats between two 16-channel blocks (planar x: between two channels)
//     xring, yring     rows kept by the buffer of x / y, 0 = all
//     band             result rows that share one padded strip of x in scratch (dense convolution only)
//     chunk            input blocks a pass over the weights takes (dense convolution only)
//     post             see epilogue
namespace {

constexpr int MAX_WINDOW_ROWS = 64;  // of depthwise convolution and pooling

struct Conv2d {
  int c, k;
  int h, w, oh, ow;
  int kh, kw;
  int sy, sx;
  int dy, dx;
  int py, px;
  size_t xs, ys;
  int xring, yring;
  int band, chunk;
  Post post;
};

}  // namespace
