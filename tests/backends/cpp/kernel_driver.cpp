// Calls one kernel on arrays: as a shared library (run_case) or, for another machine's instruction set, as a program that
// reads a request and writes the arrays back.
#include KERNELS
#include <cstdio>
#include <cstdlib>

struct Numbers {
  const int64_t* p;
  int64_t next() { return *p++; }
};

static Post post_of(Numbers& n, const float* f) {
  Post post;
  post.lo = f[0], post.hi = f[1], post.a = f[2], post.b = f[3];
  post.act = (int)n.next(), post.after = (int)n.next(), post.rs = (size_t)n.next(), post.rring = (int)n.next();
  return post;
}

static Conv2d conv_of(Numbers& n, const float* f) {
  Conv2d s;
  int* fields[] = {&s.c, &s.k, &s.h, &s.w, &s.oh, &s.ow, &s.kh, &s.kw, &s.sy, &s.sx, &s.dy, &s.dx, &s.py, &s.px};
  for (int* field : fields) *field = (int)n.next();
  s.xs = (size_t)n.next(), s.ys = (size_t)n.next();
  s.xring = (int)n.next(), s.yring = (int)n.next(), s.band = (int)n.next(), s.chunk = (int)n.next();
  s.post = post_of(n, f);
  return s;
}

// ints: kernel, threads, scratch floats, repetitions, then what the kernel takes. floats: lo, hi, a, b, then more.
extern "C" __attribute__((visibility("default"))) int run_case(const int64_t* ints, const float* floats, float** a) {
  Numbers n{ints};
  const int64_t kernel = n.next();
  const int threads = (int)n.next();
  const size_t scratch = (size_t)n.next();
  int64_t repeat = n.next();
  Run r{};
  r.threads = threads;
  const size_t stride = (scratch + 32 + 15) / 16 * 16;
  float* memory = (float*)aligned_alloc(64, threads * stride * sizeof(float));
  for (size_t i = 0; i < threads * stride; i++) memory[i] = __builtin_nanf("");
  r.first = memory, r.others = (unsigned char*)(memory + stride), r.others_stride = stride * sizeof(float);
  Pool* pool = threads > 1 ? pool_create(threads) : nullptr;
  r.pool = pool, r.dispatch = pool_dispatch;
  pool_begin(pool);
  int bad = 0;
  const Numbers start = n;
  for (; repeat > 0; repeat--) {
    n = start;
    switch (kernel) {
#include CASES
      default: bad = 1;
    }
  }
  pool_end(pool);
  pool_destroy(pool);
  for (int w = 0; w < threads; w++)
    for (size_t i = scratch; i < stride; i++)
      if (memory[w * stride + i] == memory[w * stride + i]) bad = 2;
  free(memory);
  return bad;
}

#ifdef PROGRAM
int main(int argc, char** argv) {
  FILE* f = argc > 2 ? fopen(argv[1], "rb") : nullptr;
  int64_t counts[3];
  if (!f || fread(counts, 8, 3, f) != 3) return 9;
  int64_t* ints = (int64_t*)calloc((size_t)counts[0] + 1, 8);
  float* floats = (float*)calloc((size_t)counts[1] + 1, 4);
  float** arrays = (float**)calloc((size_t)counts[2] + 1, sizeof(float*));
  int64_t* sizes = (int64_t*)calloc((size_t)counts[2] + 1, 8);
  if (fread(ints, 8, (size_t)counts[0], f) != (size_t)counts[0]) return 9;
  if (fread(floats, 4, (size_t)counts[1], f) != (size_t)counts[1]) return 9;
  if (fread(sizes, 8, (size_t)counts[2], f) != (size_t)counts[2]) return 9;
  for (int64_t i = 0; i < counts[2]; i++) {
    if (sizes[i] < 0) continue;
    arrays[i] = (float*)aligned_alloc(64, ((size_t)sizes[i] * 4 + 127) / 64 * 64);
    if (fread(arrays[i], 4, (size_t)sizes[i], f) != (size_t)sizes[i]) return 9;
  }
  fclose(f);
  const int code = run_case(ints, floats, arrays);
  f = fopen(argv[2], "wb");
  for (int64_t i = 0; i < counts[2]; i++)
    if (sizes[i] >= 0) fwrite(arrays[i], 4, (size_t)sizes[i], f);
  fclose(f);
  return code;
}
#endif
