// The threads behind Run::dispatch. Include it once, in the file compiled for the base instruction set.
// needs:
//
//   Pool* pool_create(int threads)     threads - 1 workers are started; nullptr when they cannot be
//   pool_begin / pool_end              around one run: workers watch for work in between and sleep outside
//   pool_dispatch                      what Run::dispatch points at
//   pool_destroy
//
// Every worker has a part of a job's items, the same part of each: so what one computes lies in its core's cache when
// the next job reads it. A worker that has none left takes those of others. Items are claimed by a compare-and-swap on
// {job, next item}; who comes late finds the job gone and skips. So no worker is ever waited for unless it holds an item,
// and a busy core cannot stall the others. What one worker writes often has a cache line of its own.
//
// A worker that is woken may be put on the core of the thread that wakes it, where it waits until that is done. On Linux
// workers therefore keep off the core on which a run begins.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>
#include <thread>
#if defined(__linux__) && defined(CPU_SETSIZE)
#define MC_AFFINITY 1
#else
#define MC_AFFINITY 0
#endif

namespace {

// Of one worker, the calling thread included.
struct PoolWorker {
  alignas(64) std::atomic<uint64_t> claim{0};  // job << 32 | next item; of an older job: none is claimed yet
  alignas(64) std::atomic<uint32_t> done{0};   // items since the beginning
};

struct Pool {
  typedef void (*Fn)(void* ctx, int item, int worker);
  alignas(64) std::atomic<uint32_t> job{0};  // its number, odd while the job is being written
  std::atomic<uint32_t> items{0};
  std::atomic<Fn> fn{nullptr};
  std::atomic<void*> ctx{nullptr};
  std::atomic<bool> active{false};
  alignas(64) uint32_t dispatched = 0;  // items since the beginning
  int caller = -1;                      // the core that the workers keep off
  int count = 0;                        // threads started
  bool stop = false;
  PoolWorker* workers = nullptr;
  std::thread* threads = nullptr;
  std::mutex mutex;
  std::condition_variable wake;
};

// Runs items of the current job while it has any; says whether it ran one. A job `finished` is not looked at again.
inline bool pool_work(Pool& p, int worker, uint32_t& finished) {
  const uint32_t job = p.job.load(std::memory_order_acquire);
  if (job == finished) return false;
  const uint32_t items = p.items.load(std::memory_order_relaxed);
  const Pool::Fn fn = p.fn.load(std::memory_order_relaxed);
  void* const ctx = p.ctx.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (job % 2 || job != p.job.load(std::memory_order_relaxed)) return false;
  const uint32_t all = (uint32_t)p.count + 1;
  std::atomic<uint32_t>& done = p.workers[worker].done;
  bool any = false;
  for (uint32_t i = 0; i < all; i++) {
    const uint32_t owner = ((uint32_t)worker + i) % all;
    const uint32_t begin = (uint32_t)((uint64_t)items * owner / all), end = (uint32_t)((uint64_t)items * (owner + 1) / all);
    if (begin == end) continue;
    std::atomic<uint64_t>& claim = p.workers[owner].claim;
    uint64_t seen = claim.load(std::memory_order_acquire);
    for (;;) {
      const int32_t age = (int32_t)((uint32_t)(seen >> 32) - job);
      if (age > 0) break;
      const uint32_t item = age < 0 ? begin : (uint32_t)seen;
      if (item >= end) break;
      // All items of a job are claimed before it ends: success proves that this one has not.
      const uint64_t next = (uint64_t)job << 32 | (item + 1);
      if (!claim.compare_exchange_weak(seen, next, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      seen = next;
      fn(ctx, (int)item, worker);
      any = true;
      done.store(done.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
  }
  finished = job;
  return any;
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
    uint32_t finished = 1;
    while (p->active.load(std::memory_order_acquire)) {
      if (pool_work(*p, worker, finished)) idle = 0;
      else pool_pause(idle);
    }
  }
}

inline void pool_dispatch(void* pool, int items, Pool::Fn fn, void* ctx) {
  Pool& p = *(Pool*)pool;
  const uint32_t job = p.job.load(std::memory_order_relaxed);
  p.job.store(job + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  p.items.store((uint32_t)items, std::memory_order_relaxed);
  p.fn.store(fn, std::memory_order_relaxed);
  p.ctx.store(ctx, std::memory_order_relaxed);
  p.job.store(job + 2, std::memory_order_release);
  p.dispatched += (uint32_t)items;
  uint32_t finished = job;
  pool_work(p, 0, finished);
  int idle = 0;
  for (;;) {
    uint32_t done = 0;
    for (int i = 0; i <= p.count; i++) done += p.workers[i].done.load(std::memory_order_acquire);
    if (done == p.dispatched) return;
    pool_pause(idle);
  }
}

// Workers keep off the calling thread's core, where it may run on others too.
inline void pool_spread(Pool& p) {
#if MC_AFFINITY
  const int here = sched_getcpu();
  if (here == p.caller || here < 0 || here >= CPU_SETSIZE) return;
  p.caller = here;
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores)) return;
  if (CPU_COUNT(&cores) > 1) CPU_CLR(here, &cores);
  for (int i = 0; i < p.count; i++) pthread_setaffinity_np(p.threads[i].native_handle(), sizeof cores, &cores);
#else
  (void)p;
#endif
}

inline void pool_begin(Pool* p) {
  if (!p) return;
  pool_spread(*p);
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
  for (int i = 0; i < p->count; i++) p->threads[i].join();
  delete[] p->threads;
  delete[] p->workers;
  delete p;
}

inline Pool* pool_create(int threads) {
  Pool* p = new (std::nothrow) Pool;
  if (!p) return nullptr;
  p->workers = new (std::nothrow) PoolWorker[threads > 1 ? threads : 1];
  p->threads = new (std::nothrow) std::thread[threads > 1 ? threads - 1 : 1];
  if (!p->workers || !p->threads) {
    pool_destroy(p);
    return nullptr;
  }
  try {
    for (; p->count < threads - 1; p->count++) p->threads[p->count] = std::thread(pool_worker, p, p->count + 1);
  } catch (...) {
    pool_destroy(p);
    return nullptr;
  }
  return p;
}

}  // namespace
