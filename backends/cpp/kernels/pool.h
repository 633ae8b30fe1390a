// The threads behind Run::dispatch. Include it once, in the file compiled for the base instruction set.
// needs:
//
//   Pool* pool_create(int threads)     threads - 1 workers are started; nullptr when they cannot be
//   pool_begin / pool_end              around one run: workers watch for work in between and sleep outside
//   pool_dispatch                      what Run::dispatch points at
//   pool_destroy
//
// Workers claim one item at a time by a compare-and-swap on {epoch, next item}: who comes late finds the epoch gone and
// skips. So no worker is ever waited for unless it holds an item, and a busy core cannot stall the others.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>
#include <thread>

namespace {

struct Pool {
  typedef void (*Fn)(void* ctx, int item, int worker);
  alignas(64) std::atomic<uint64_t> claim{0};  // epoch << 32 | next item
  alignas(64) std::atomic<int> done{0};
  alignas(64) std::atomic<Fn> fn{nullptr};
  std::atomic<void*> ctx{nullptr};
  std::atomic<uint32_t> items{0};
  std::atomic<bool> active{false};
  bool stop = false;
  std::mutex mutex;
  std::condition_variable wake;
  std::thread* workers = nullptr;
  int count = 0;
};

// Runs items while the current job has any; says whether it ran one.
inline bool pool_work(Pool& p, int worker) {
  bool any = false;
  uint64_t seen = p.claim.load(std::memory_order_acquire);
  for (;;) {
    const uint32_t item = (uint32_t)seen;
    if (item >= p.items.load(std::memory_order_acquire)) return any;
    const Pool::Fn fn = p.fn.load(std::memory_order_acquire);
    void* const ctx = p.ctx.load(std::memory_order_acquire);
    // Success proves that the job read above is still the one this item belongs to.
    if (!p.claim.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    fn(ctx, (int)item, worker);
    any = true;
    p.done.fetch_add(1, std::memory_order_release);
    seen = p.claim.load(std::memory_order_acquire);
  }
}

inline void pool_pause(int& idle) {
  if (++idle < 300) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  } else {
    std::this_thread::yield();
  }
}

inline void pool_worker(Pool* p, int worker) {
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(p->mutex);
      p->wake.wait(lock, [p] { return p->stop || p->active.load(std::memory_order_relaxed); });
      if (p->stop) return;
    }
    int idle = 0;
    while (p->active.load(std::memory_order_acquire)) {
      if (pool_work(*p, worker)) idle = 0;
      else pool_pause(idle);
    }
  }
}

inline void pool_dispatch(void* pool, int items, Pool::Fn fn, void* ctx) {
  Pool& p = *(Pool*)pool;
  const uint64_t epoch = (p.claim.load(std::memory_order_relaxed) >> 32) + 1;
  // Closed while the job is written: whoever reads a part of the new job also sees that the old one is gone.
  p.claim.store(epoch << 32 | 0xffffffffu, std::memory_order_relaxed);
  p.done.store(0, std::memory_order_relaxed);
  p.fn.store(fn, std::memory_order_release);
  p.ctx.store(ctx, std::memory_order_release);
  p.items.store((uint32_t)items, std::memory_order_release);
  p.claim.store(epoch << 32, std::memory_order_release);
  pool_work(p, 0);
  int idle = 0;
  while (p.done.load(std::memory_order_acquire) != items) pool_pause(idle);
}

inline void pool_begin(Pool* p) {
  if (!p) return;
  {
    std::lock_guard<std::mutex> lock(p->mutex);
    p->active.store(true, std::memory_order_release);
  }
  p->wake.notify_all();
}

inline void pool_end(Pool* p) {
  if (p) p->active.store(false, std::memory_order_release);
}

inline void pool_destroy(Pool* p) {
  if (!p) return;
  {
    std::lock_guard<std::mutex> lock(p->mutex);
    p->stop = true;
    p->active.store(false, std::memory_order_relaxed);
  }
  p->wake.notify_all();
  for (int i = 0; i < p->count; i++) p->workers[i].join();
  delete[] p->workers;
  delete p;
}

inline Pool* pool_create(int threads) {
  Pool* p = new (std::nothrow) Pool;
  if (!p) return nullptr;
  p->workers = new (std::nothrow) std::thread[threads > 1 ? threads - 1 : 1];
  if (!p->workers) {
    delete p;
    return nullptr;
  }
  try {
    for (; p->count < threads - 1; p->count++) p->workers[p->count] = std::thread(pool_worker, p, p->count + 1);
  } catch (...) {
    pool_destroy(p);
    return nullptr;
  }
  return p;
}

}  // namespace
