// What a kernel knows about the run it is part of. The generated prelude may give its own struct with the same members.
// needs: vec
//
//   threads        workers a step may use; 1 = the calling thread only
//   scratch(w)     64-byte aligned floats of worker w, as many as the step declared
//   dispatch       with threads > 1: calls fn(ctx, item, worker) for every item of [0, items), any order, returns when all are done
namespace {

struct Run {
  int threads;
  float* scratch_base;
  size_t scratch_stride;  // floats between the scratches of two workers
  void* pool;
  void (*dispatch)(void* pool, int items, void (*fn)(void* ctx, int item, int worker), void* ctx);
  float* scratch(int worker) const { return scratch_base + (size_t)worker * scratch_stride; }
};

}  // namespace
