// Uses a network's C interface in ways that callers do, right and wrong. Compiled with -DMODEL=name -DHEADER="name.h".
#include HEADER

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#define JOINED(a, b) a##_##b
#define NAMED(a, b) JOINED(a, b)
#define NET(what) NAMED(MODEL, what)
enum { OK = 0, ARGUMENT = 1 };

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      std::printf("line %d: %s\n", __LINE__, #condition);         \
      std::exit(1);                                               \
    }                                                             \
  } while (0)

static std::atomic<long> allocations{0};
static std::atomic<bool> counting{false};

#ifdef COUNT_ALLOCATIONS
// All of the C library's ways to memory lead here, those of operator new too.
extern "C" void* __libc_malloc(size_t);
extern "C" void* __libc_calloc(size_t, size_t);
extern "C" void* __libc_realloc(void*, size_t);
extern "C" void* __libc_memalign(size_t, size_t);
static void counted() {
  if (counting) allocations++;
}
extern "C" void* malloc(size_t n) { return counted(), __libc_malloc(n); }
extern "C" void* calloc(size_t n, size_t size) { return counted(), __libc_calloc(n, size); }
extern "C" void* realloc(void* p, size_t n) { return counted(), __libc_realloc(p, n); }
extern "C" void* memalign(size_t to, size_t n) { return counted(), __libc_memalign(to, n); }
extern "C" void* aligned_alloc(size_t to, size_t n) { return counted(), __libc_memalign(to, n); }
#endif

// Inputs and outputs of `count` samples; inputs of small numbers.
struct Memory {
  std::vector<std::vector<unsigned char>> bytes;
  std::vector<const void*> in;
  std::vector<void*> out;
  size_t count;
  explicit Memory(size_t samples, unsigned seed = 1) : count(samples) {
    for (int i = 0; i < NET(inputs)(); i++) {
      std::vector<float> numbers(NET(input)(i)->bytes / 4 * samples);
      for (float& n : numbers) n = float(int(seed = seed * 1664525u + 1013904223u) >> 16) / 32768.f;
      bytes.emplace_back(numbers.size() * 4);
      std::memcpy(bytes.back().data(), numbers.data(), numbers.size() * 4);
    }
    for (int i = 0; i < NET(outputs)(); i++) bytes.emplace_back(NET(output)(i)->bytes * samples);
    for (int i = 0; i < NET(inputs)(); i++) in.push_back(bytes[size_t(i)].data());
    for (int i = 0; i < NET(outputs)(); i++) out.push_back(bytes[size_t(NET(inputs)() + i)].data());
  }
  bool same(const Memory& other, size_t sample) const {
    for (size_t i = 0; i < out.size(); i++) {
      const size_t n = NET(output)(int(i))->bytes;
      if (std::memcmp(static_cast<unsigned char*>(out[i]) + n * sample, other.out[i], n)) return false;
    }
    return true;
  }
};

static NET(options) plain(int threads = 0) {
  NET(options) options = {};
  options.size = sizeof options;
  options.threads = threads;
  return options;
}

static NET(model) * created(const NET(options) * options) {
  NET(model)* m = nullptr;
  CHECK(NET(create)(&m, options) == OK && m);
  return m;
}

static int refused(NET(options) options) {
  NET(model)* m = reinterpret_cast<NET(model)*>(&options);
  const int error = NET(create)(&m, &options);
  CHECK(!m || !error);
  NET(destroy)(m);
  return error;
}

static void wrong_arguments() {
  CHECK(NET(create)(nullptr, nullptr) == ARGUMENT);
  CHECK(NET(run)(nullptr, nullptr, nullptr) == ARGUMENT);
  CHECK(NET(run_batch)(nullptr, 0, nullptr, nullptr) == ARGUMENT);
  CHECK(NET(selftest)(nullptr) == ARGUMENT);
  CHECK(!NET(input)(-1) && !NET(input)(NET(inputs)()) && !NET(output)(-1) && !NET(output)(NET(outputs)()));
  CHECK(!std::strcmp(NET(isa)(nullptr), ""));
  NET(destroy)(nullptr);
  for (int threads : {-1, 257, 1 << 30}) CHECK(refused(plain(threads)) == ARGUMENT);
  CHECK(NET(arena_bytes)(-5) == NET(arena_bytes)(1) && NET(arena_bytes)(1 << 30) == NET(arena_bytes)(256));
  NET(options) options = plain();
  options.isa = "vax";
  CHECK(refused(options) == ARGUMENT);
  for (size_t size : {size_t(0), size_t(3), sizeof options + 1, ~size_t(0)}) {
    options = plain();
    options.size = size;
    CHECK(refused(options) == ARGUMENT);
  }
  NET(model)* m = created(nullptr);
  Memory memory(1);
  CHECK(NET(run)(m, nullptr, memory.out.data()) == ARGUMENT && NET(run)(m, memory.in.data(), nullptr) == ARGUMENT);
  std::vector<const void*> no_in(memory.in.size());
  std::vector<void*> no_out(memory.out.size());
  CHECK(NET(run)(m, no_in.data(), memory.out.data()) == ARGUMENT);
  CHECK(NET(run)(m, memory.in.data(), no_out.data()) == ARGUMENT);
  CHECK(NET(run_batch)(m, 2, no_in.data(), memory.out.data()) == ARGUMENT);
  CHECK(NET(run_batch)(m, 0, memory.in.data(), memory.out.data()) == OK);
  int64_t dims[8];
  CHECK(NET(output_dims)(m, 0, nullptr) == ARGUMENT && NET(output_dims)(nullptr, 0, dims) == ARGUMENT);
  CHECK(NET(output_dims)(m, -1, dims) == ARGUMENT && NET(output_dims)(m, NET(outputs)(), dims) == ARGUMENT);
  CHECK(NET(output_dims)(m, 0, dims) == OK && dims[0] == NET(output)(0)->dims[0]);
  NET(destroy)(m);
}

// A caller compiled with an older header gives fewer fields.
static void older_callers() {
  struct {
    size_t size;
    int threads;
  } old = {sizeof old, 2};
  NET(model)* m = nullptr;
  CHECK(NET(create)(&m, reinterpret_cast<const NET(options)*>(&old)) == OK);
  CHECK(NET(selftest)(m) == OK);
  NET(destroy)(m);
}

static void arenas() {
  const Memory wanted(1), memory(1);
  NET(model)* m = created(nullptr);
  CHECK(NET(run)(m, wanted.in.data(), wanted.out.data()) == OK);
  NET(destroy)(m);
  for (int threads : {1, 3}) {
    const size_t n = NET(arena_bytes)(threads);
    unsigned char* arena = static_cast<unsigned char*>(::operator new(n, std::align_val_t(64)));
    std::memset(arena, 0xff, n);
    NET(options) options = plain(threads);
    options.arena = arena;
    options.arena_bytes = n - 1;
    CHECK(refused(options) == ARGUMENT);
    options.arena = arena + 32;
    options.arena_bytes = n;
    CHECK(refused(options) == ARGUMENT);
    options.arena = arena;
    m = created(&options);
    for (int round = 0; round < 2; round++) {
      CHECK(NET(run)(m, memory.in.data(), memory.out.data()) == OK);
      CHECK(wanted.same(memory, 0));
    }
    NET(destroy)(m);
    ::operator delete(arena, std::align_val_t(64));
  }
}

static void batches() {
  const Memory three(3);
  NET(model)* m = created(nullptr);
  CHECK(NET(run_batch)(m, 3, three.in.data(), three.out.data()) == OK);
  for (size_t n = 0; n < 3; n++) {
    Memory one(1);
    for (size_t i = 0; i < one.in.size(); i++) {
      const size_t bytes = NET(input)(int(i))->bytes;
      one.in[i] = static_cast<const unsigned char*>(three.in[i]) + bytes * n;
    }
    CHECK(NET(run)(m, one.in.data(), one.out.data()) == OK);
    CHECK(three.same(one, n));
  }
  NET(destroy)(m);
}

static void side_by_side() {
  std::vector<std::thread> callers;
  for (unsigned seed = 1; seed <= 4; seed++)
    callers.emplace_back([seed] {
      const NET(options) options = plain(int(seed % 3) + 1);
      NET(model)* m = created(&options);
      const Memory first(1, seed), again(1, seed);
      CHECK(NET(run)(m, first.in.data(), first.out.data()) == OK);
      for (int round = 0; round < 5; round++) {
        CHECK(NET(run)(m, again.in.data(), again.out.data()) == OK);
        CHECK(first.same(again, 0));
      }
      CHECK(NET(selftest)(m) == OK);
      NET(destroy)(m);
    });
  for (std::thread& caller : callers) caller.join();
}

static void no_allocation() {
  for (int threads : {1, 2}) {
    const NET(options) options = plain(threads);
    NET(model)* m = created(&options);
    const Memory memory(2);
    counting = true;
    CHECK(NET(run)(m, memory.in.data(), memory.out.data()) == OK);
    CHECK(NET(run_batch)(m, 2, memory.in.data(), memory.out.data()) == OK);
    counting = false;
    NET(destroy)(m);
  }
  CHECK(allocations == 0);
#ifdef COUNT_ALLOCATIONS
  counting = true;
  int* volatile one = new int(1);  // it does count
  delete one;
  counting = false;
  CHECK(allocations > 0);
#endif
}

int main() {
  wrong_arguments();
  older_callers();
  arenas();
  batches();
  side_by_side();
  no_allocation();
  std::printf("ok\n");
  return 0;
}
