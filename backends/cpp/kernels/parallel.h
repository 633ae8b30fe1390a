// Loops whose items are independent.
// needs: vec run
//
//   Split(n, most)           n things in parts of nearly equal size, at most `most` each
//   row_bands(r, rows)       the rows of an image for the workers. Whoever splits work splits rows or pixels where it can:
//                            so a worker finds what it made before, and few lines of cache go from core to core
//   in_shares(r, n, f)       f(run, share) for every share of [0, n), each with the run of one worker that has its own memory
//   parallel(r, items, f)    f(item, worker) once for every item of [0, items); a plain loop with one thread
namespace {

template <class F>
MC_INLINE void parallel(Run& r, int items, const F& f) {
  if (r.threads == 1 || items == 1) {
    for (int i = 0; i < items; i++) f(i, 0);
  } else {
    struct Call {
      static void one(void* ctx, int item, int worker) { (*(const F*)ctx)(item, worker); }
    };
    r.dispatch(r.pool, items, Call::one, (void*)&f);
  }
}

template <class F>
MC_INLINE void in_shares(Run& r, int shares, const F& f) {
  parallel(r, shares, [&](int item, int worker) {
    Run mine = r;
    mine.threads = 1;
    mine.own = worker ? (unsigned char*)r.scratch(worker) : nullptr;
    f(mine, item);
  });
}

// n things in parts of nearly equal size
struct Split {
  int parts, small, larger;
  Split(int n, int most) : parts(ceil_div(n, most)), small(n / parts), larger(n % parts) {}
  int begin(int i) const { return i * small + imin(i, larger); }
  int size(int i) const { return small + (i < larger); }
};

MC_INLINE Split row_bands(const Run& r, int rows) {
  return Split(rows, r.threads > 1 ? ceil_div(rows, imin(4 * r.threads, rows)) : rows);
}

}  // namespace
