// What a step knows about the run that it is part of: where memory is, and who works.
// needs: vec
//
//   arena<T>(r, bytes), weight<T>, prepared<T>, input<T>(r, index, bytes), output<T>    typed pointers
//   threads        workers that a step may use; 1 = the calling thread only
//   scratch(w)     64-byte aligned floats of worker w, as many as the step declared; step_scratch places worker 0's
//   own            of a worker that streams rows without the others: its memory, scratch first; else nullptr
//   ring<T>(r, bytes, place)    a ring in the arena, or `place` bytes into own
//   dispatch       with threads > 1: calls fn(ctx, item, worker) for every item of [0, items), in any order, and returns
//                  when all are done
namespace {

struct Run {
  int threads;
  unsigned char* arena;
  unsigned char* others;   // scratch of the workers from the second on
  size_t others_stride;    // bytes
  const unsigned char* weights;
  unsigned char* prepared;
  const void* const* in;
  void* const* out;
  float* first;            // scratch of the first worker
  void* pool;
  void (*dispatch)(void* pool, int items, void (*fn)(void* ctx, int item, int worker), void* ctx);
  int64_t (*sizes)[8];     // of each output, where only running tells them
  unsigned char* own = nullptr;

  float* scratch(int worker) const {
    return worker == 0 ? first : (float*)(others + size_t(worker - 1) * others_stride);
  }
};

// Rows [begin, end) of a step of a streamed group.
struct StreamCall {
  short step, begin, end;
};

MC_INLINE void step_scratch(Run& r, size_t bytes) { r.first = (float*)(r.own ? r.own : r.arena + bytes); }

template <class T> MC_INLINE T* arena(const Run& r, size_t bytes) { return (T*)(r.arena + bytes); }
template <class T> MC_INLINE T* ring(const Run& r, size_t bytes, size_t place) {
  return (T*)(r.own ? r.own + place : r.arena + bytes);
}
template <class T> MC_INLINE const T* weight(const Run& r, size_t bytes) { return (const T*)(r.weights + bytes); }
template <class T> MC_INLINE T* prepared(const Run& r, size_t bytes) { return (T*)(r.prepared + bytes); }
template <class T> MC_INLINE const T* input(const Run& r, int index, size_t bytes) {
  return (const T*)((const unsigned char*)r.in[index] + bytes);
}
template <class T> MC_INLINE T* output(const Run& r, int index, size_t bytes) {
  return (T*)((unsigned char*)r.out[index] + bytes);
}

}  // namespace
