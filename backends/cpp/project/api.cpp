// The interface of @NAME@.h: memory, threads, the choice of instruction set, the self-test.
#include "@NAME@.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "@NAME@_internal.h"

@POOL@
@AEAD@
#define HIDDEN __attribute__((visibility("hidden")))
extern "C" {
extern HIDDEN const @NAME@_code @NAME@_code_base;
extern HIDDEN const @NAME@_code @NAME@_code_avx2;
extern HIDDEN const @NAME@_code @NAME@_code_avx512;
#ifndef @GUARD@_EXTERNAL_WEIGHTS
extern HIDDEN const unsigned char @NAME@_weights_data[];
#endif
}

struct @NAME@_model {
  @NAME@_frame frame;
  const @NAME@_code* code;
  Pool* pool;
  unsigned char* own;       // the arena, where the caller gave none
  unsigned char* prepared;
  unsigned char* opened;    // decrypted weights
  int64_t sizes[@OUTPUTS@ + 1][8];
};

namespace {

constexpr size_t ARENA = @ARENA@, SCRATCH = @SCRATCH@, PREPARED = @PREPARED@;
[[maybe_unused]] constexpr size_t WEIGHTS = @WEIGHTS@;  // bytes of the weights' file
[[maybe_unused]] constexpr size_t OPENED = @OPENED@;  // of the weights in the clear
constexpr int INPUTS = @INPUTS@, OUTPUTS = @OUTPUTS@, MAX_THREADS = 256;
constexpr unsigned GOLDEN_RANGE = @GOLDEN_RANGE@;

const @NAME@_tensor input_types[INPUTS + 1] = {@INPUT_TYPES@{0, 0, {0}, 0}};
const @NAME@_tensor output_types[OUTPUTS + 1] = {@OUTPUT_TYPES@{0, 0, {0}, 0}};

// Samples of the outputs for the inputs that `fill` makes: places, values, and the largest magnitude, in the weights.
struct Golden {
  int count;
  size_t places, values, scale;
};
const Golden goldens[OUTPUTS + 1] = {@GOLDENS@{0, 0, 0, 0}};

size_t rounded(size_t n) { return (n + 63) / 64 * 64; }

// Of much memory whole pages of 2 MB are asked for, where the system has such: streams of weights then wait for no page.
constexpr size_t PAGE = size_t(1) << 21;

unsigned char* allocate(size_t n) {
  unsigned char* p = static_cast<unsigned char*>(
      ::operator new(rounded(n ? n : 1), std::align_val_t(n >= PAGE ? PAGE : 64), std::nothrow));
#ifdef MADV_HUGEPAGE
  if (p && n >= PAGE) madvise(p, n / PAGE * PAGE, MADV_HUGEPAGE);
#endif
  return p;
}

void release(unsigned char* p, size_t n) {
  if (p) ::operator delete(p, std::align_val_t(n >= PAGE ? PAGE : 64));
}

size_t arena_bytes(int threads) { return rounded(ARENA) + size_t(threads - 1) * rounded(SCRATCH); }

const @NAME@_code* code_for(const char* isa) {
  const @NAME@_code* codes[3] = {nullptr, nullptr, nullptr};
#ifdef @GUARD@_HAS_base
  codes[2] = &@NAME@_code_base;
#endif
#ifdef @GUARD@_X86
  __builtin_cpu_init();
#endif
#ifdef @GUARD@_HAS_avx512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw"))
    codes[0] = &@NAME@_code_avx512;
#endif
#ifdef @GUARD@_HAS_avx2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) codes[1] = &@NAME@_code_avx2;
#endif
  for (const @NAME@_code* code : codes)
    if (code && (!isa || !std::strcmp(isa, code->isa))) return code;
  return nullptr;
}

double element(const unsigned char* p, int type, size_t i) {
  union {
    uint32_t bits;
    float number;
  } word;
  uint16_t half;
  switch (type) {
    case @GUARD@_BOOL: return p[i] != 0;
    case @GUARD@_I8: return reinterpret_cast<const int8_t*>(p)[i];
    case @GUARD@_I16: return reinterpret_cast<const int16_t*>(p)[i];
    case @GUARD@_I32: return reinterpret_cast<const int32_t*>(p)[i];
    case @GUARD@_I64: return double(reinterpret_cast<const int64_t*>(p)[i]);
    case @GUARD@_U8: return p[i];
    case @GUARD@_U16: return reinterpret_cast<const uint16_t*>(p)[i];
    case @GUARD@_U32: return reinterpret_cast<const uint32_t*>(p)[i];
    case @GUARD@_U64: return double(reinterpret_cast<const uint64_t*>(p)[i]);
    case @GUARD@_F32: return double(reinterpret_cast<const float*>(p)[i]);
    case @GUARD@_F64: return reinterpret_cast<const double*>(p)[i];
    case @GUARD@_BF16:
      half = reinterpret_cast<const uint16_t*>(p)[i];
      word.bits = uint32_t(half) << 16;
      return double(word.number);
    default:  // F16
      half = reinterpret_cast<const uint16_t*>(p)[i];
      const int exponent = half >> 10 & 31, fraction = half & 1023;
      const double magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                               : exponent     ? std::ldexp(1024 + fraction, exponent - 25)
                                              : std::ldexp(fraction, -24);
      return half >> 15 ? -magnitude : magnitude;
  }
}

uint32_t mixed(uint32_t h) {
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  return h ^ h >> 16;
}

// Numbers that depend on the place alone: floats of [-1, 1) in steps of 2^-8, small integers.
void fill(unsigned char* p, const @NAME@_tensor& t, uint32_t index) {
  static const unsigned char sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8};
  const size_t count = t.bytes / sizes[t.type];
  for (size_t i = 0; i < count; i++) {
    const uint32_t h = mixed(uint32_t(i) * 2654435761u + index * 40503u + 1u);
    const float f = float(int(h >> 23) - 256) / 256.f;
    uint32_t bits;
    switch (t.type) {
      case @GUARD@_F32: reinterpret_cast<float*>(p)[i] = f; break;
      case @GUARD@_F64: reinterpret_cast<double*>(p)[i] = double(f); break;
      case @GUARD@_BF16:
        std::memcpy(&bits, &f, 4);
        reinterpret_cast<uint16_t*>(p)[i] = uint16_t(bits >> 16);
        break;
      case @GUARD@_F16: {
        int e;
        const float m = std::frexp(std::fabs(f), &e);  // at most 9 bits: exact
        const uint16_t sign = f < 0 ? 0x8000 : 0;
        reinterpret_cast<uint16_t*>(p)[i] = f == 0 ? 0 : uint16_t(sign | (e + 14) << 10 | (int(m * 2048) & 1023));
        break;
      }
      default: {
        uint64_t n = t.type == @GUARD@_BOOL ? h & 1 : h % GOLDEN_RANGE;
        std::memcpy(p + i * sizes[t.type], &n, sizes[t.type]);  // little-endian
      }
    }
  }
}

bool same(const @NAME@_model* m, const unsigned char* data, int index) {
  const Golden& g = goldens[index];
  const unsigned char* w = m->frame.weights;
  const int64_t* places = reinterpret_cast<const int64_t*>(w + g.places);
  const double* values = reinterpret_cast<const double*>(w + g.values);
  const double scale = *reinterpret_cast<const double*>(w + g.scale);
  const int type = output_types[index].type;
  const bool whole = type < @GUARD@_F16;
  for (int i = 0; i < g.count; i++) {
    const double found = element(data, type, size_t(places[i])), wanted = values[i];
    if (std::isnan(wanted) ? std::isnan(found) : found == wanted) continue;
    if (!(std::fabs(found - wanted) <= (whole ? 1.0 : @TOLERANCE@ * scale))) return false;
  }
  return true;
}
@TAG@
}  // namespace
@SEAL_CODE@
int @NAME@_inputs(void) { return INPUTS; }
int @NAME@_outputs(void) { return OUTPUTS; }
const @NAME@_tensor* @NAME@_input(int index) { return index >= 0 && index < INPUTS ? input_types + index : nullptr; }
const @NAME@_tensor* @NAME@_output(int index) {
  return index >= 0 && index < OUTPUTS ? output_types + index : nullptr;
}
int @NAME@_output_dims(const @NAME@_model* m, int index, int64_t dims[8]) {
  if (!m || !dims || index < 0 || index >= OUTPUTS) return @GUARD@_ERROR_ARGUMENT;
  std::memcpy(dims, m->sizes[index], sizeof m->sizes[index]);
  return @GUARD@_OK;
}
size_t @NAME@_arena_bytes(int threads) {
  return arena_bytes(threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads);
}

int @NAME@_create(@NAME@_model** model, const @NAME@_options* given) {
  if (!model) return @GUARD@_ERROR_ARGUMENT;
  *model = nullptr;
  @NAME@_options options = {};
  if (given) {
    if (given->size > sizeof options || given->size < sizeof(size_t)) return @GUARD@_ERROR_ARGUMENT;
    std::memcpy(&options, given, given->size);
  }
  const int threads = options.threads ? options.threads : 1;
  const @NAME@_code* code = code_for(options.isa);
  if (!code || threads < 1 || threads > MAX_THREADS) return @GUARD@_ERROR_ARGUMENT;
  const size_t bytes = arena_bytes(threads);
  if (options.arena && (options.arena_bytes < bytes || reinterpret_cast<uintptr_t>(options.arena) % 64))
    return @GUARD@_ERROR_ARGUMENT;
#ifdef @GUARD@_EXTERNAL_WEIGHTS
  if (!options.weights || options.weights_bytes != WEIGHTS || reinterpret_cast<uintptr_t>(options.weights) % 64)
    return @GUARD@_ERROR_ARGUMENT;
  const unsigned char* weights = static_cast<const unsigned char*>(options.weights);
#else
  const unsigned char* weights = @NAME@_weights_data;
#endif
  @NAME@_model* m = new (std::nothrow) @NAME@_model();
  if (!m) return @GUARD@_ERROR_MEMORY;
  m->code = code;
  m->frame.threads = threads;
  int error = @GUARD@_OK;
  if (!options.arena) m->own = allocate(bytes);
  unsigned char* arena = options.arena ? static_cast<unsigned char*>(options.arena) : m->own;
  if (PREPARED) m->prepared = allocate(PREPARED);
  if (threads > 1) m->pool = pool_create(threads);
  if (!arena || (PREPARED && !m->prepared) || (threads > 1 && !m->pool)) error = @GUARD@_ERROR_MEMORY;
@OPEN@
  if (error) {
    @NAME@_destroy(m);
    return error;
  }
  m->frame = {threads,     arena,   arena + rounded(ARENA), rounded(SCRATCH), weights,
              m->prepared, nullptr, nullptr,                m->pool,          pool_dispatch, m->sizes};
  for (int i = 0; i < OUTPUTS; i++) std::memcpy(m->sizes[i], output_types[i].dims, sizeof m->sizes[i]);
  code->prepare(m->frame);
  *model = m;
  return @GUARD@_OK;
}

int @NAME@_run(@NAME@_model* m, const void* const* inputs, void* const* outputs) {
  if (!m || (INPUTS && !inputs) || (OUTPUTS && !outputs)) return @GUARD@_ERROR_ARGUMENT;
  for (int i = 0; i < INPUTS; i++)
    if (!inputs[i]) return @GUARD@_ERROR_ARGUMENT;
  for (int i = 0; i < OUTPUTS; i++)
    if (!outputs[i]) return @GUARD@_ERROR_ARGUMENT;
  m->frame.in = inputs;
  m->frame.out = outputs;
  pool_begin(m->pool);
  m->code->run(m->frame);
  pool_end(m->pool);
  return @GUARD@_OK;
}

int @NAME@_run_batch(@NAME@_model* m, size_t count, const void* const* inputs, void* const* outputs) {
  if (!m || (INPUTS && !inputs) || (OUTPUTS && !outputs)) return @GUARD@_ERROR_ARGUMENT;
  const void* in[INPUTS + 1] = {};
  void* out[OUTPUTS + 1] = {};
  for (size_t n = 0; n < count; n++) {
    for (int i = 0; i < INPUTS; i++)
      in[i] = inputs[i] ? static_cast<const unsigned char*>(inputs[i]) + n * input_types[i].bytes : nullptr;
    for (int i = 0; i < OUTPUTS; i++)
      out[i] = outputs[i] ? static_cast<unsigned char*>(outputs[i]) + n * output_types[i].bytes : nullptr;
    const int error = @NAME@_run(m, in, out);
    if (error) return error;
  }
  return @GUARD@_OK;
}

int @NAME@_selftest(@NAME@_model* m) {
  if (!m) return @GUARD@_ERROR_ARGUMENT;
@CHECK_CODE@  unsigned char* in[INPUTS + 1] = {};
  unsigned char* out[OUTPUTS + 1] = {};
  bool enough = true;
  for (int i = 0; i < INPUTS; i++) enough &= (in[i] = allocate(input_types[i].bytes)) != nullptr;
  for (int i = 0; i < OUTPUTS; i++) enough &= (out[i] = allocate(output_types[i].bytes)) != nullptr;
  int error = enough ? @GUARD@_OK : @GUARD@_ERROR_MEMORY;
  if (enough) {
    for (int i = 0; i < INPUTS; i++) fill(in[i], input_types[i], uint32_t(i));
    error = @NAME@_run(m, reinterpret_cast<const void* const*>(in), reinterpret_cast<void* const*>(out));
    for (int i = 0; i < OUTPUTS && !error; i++)
      if (!same(m, out[i], i)) error = @GUARD@_ERROR_NUMBERS;
  }
  for (int i = 0; i < INPUTS; i++) release(in[i], input_types[i].bytes);
  for (int i = 0; i < OUTPUTS; i++) release(out[i], output_types[i].bytes);
  return error;
}

void @NAME@_destroy(@NAME@_model* m) {
  if (!m) return;
  pool_destroy(m->pool);
@WIPE@
  release(m->own, arena_bytes(m->frame.threads));
  release(m->prepared, PREPARED);
  release(m->opened, OPENED);
  delete m;
}

const char* @NAME@_isa(const @NAME@_model* m) { return m ? m->code->isa : ""; }
