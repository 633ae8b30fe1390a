/* @NAME@: a neural network as C code without a runtime. Written by mconv.
 *
 *   @NAME@_model* m;
 *   if (@NAME@_create(&m, NULL)) ...;                  one thread, memory of its own, the best instruction set
 *   @NAME@_run(m, inputs, outputs);                    arrays of pointers, in the order below; nothing is allocated
 *   @NAME@_destroy(m);
 *
@SIGNATURE@
 * Tensors are dense and row-major. Inputs are only read; inputs and outputs do not overlap. A model is used by one
 * thread at a time; several models run side by side.
 */
#ifndef @GUARD@_H
#define @GUARD@_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define @GUARD@_API __attribute__((visibility("default")))
#else
#define @GUARD@_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct @NAME@_model @NAME@_model;

/* What functions return. */
enum {
  @GUARD@_OK = 0,
  @GUARD@_ERROR_ARGUMENT = 1, /* a null pointer, an unknown instruction set, an arena too small or not aligned */
  @GUARD@_ERROR_MEMORY = 2,   /* memory or threads cannot be had */
  @GUARD@_ERROR_KEY = 3,      /* the weights are encrypted, and there is no key */
  @GUARD@_ERROR_WEIGHTS = 4,  /* the weights are not those of this build, or the key is not theirs */
  @GUARD@_ERROR_NUMBERS = 5,  /* the self-test: the outputs are not what they should be */
  @GUARD@_ERROR_CODE = 6      /* the code is not what was sealed */
};

/* Element types of tensors. */
enum {
  @GUARD@_BOOL = 0, @GUARD@_I8, @GUARD@_I16, @GUARD@_I32, @GUARD@_I64, @GUARD@_U8, @GUARD@_U16, @GUARD@_U32,
  @GUARD@_U64, @GUARD@_F16, @GUARD@_BF16, @GUARD@_F32, @GUARD@_F64
};

typedef struct @NAME@_tensor {
  int type;
  int rank;
  int64_t dims[8];
  size_t bytes;
} @NAME@_tensor;

/* Zeros and null pointers mean the defaults. `size` is sizeof(@NAME@_options). */
typedef struct @NAME@_options {
  size_t size;
  int threads;          /* workers, the caller's thread among them; default 1 */
  void* arena;          /* memory for the run, aligned to 64 bytes; default: allocated by create */
  size_t arena_bytes;   /* at least @NAME@_arena_bytes(threads) */
  int (*key)(void* user, unsigned char key[32]); /* fills in the key of encrypted weights; returns 0 */
  void* user;
  const void* weights;  /* the content of the weights' file, where the library was built without them */
  size_t weights_bytes;
  const char* isa;      /* "base", "avx2", "avx512"; default: the best that the processor has */
} @NAME@_options;

@GUARD@_API int @NAME@_inputs(void);
@GUARD@_API int @NAME@_outputs(void);
@GUARD@_API const @NAME@_tensor* @NAME@_input(int index);
@GUARD@_API const @NAME@_tensor* @NAME@_output(int index);
/* The sizes of an output after a run: those of @NAME@_output, but where only running tells a size (-1 there). Then its
 * `bytes` are the most that it can take, and its elements lie together at their begin. */
@GUARD@_API int @NAME@_output_dims(const @NAME@_model* model, int index, int64_t dims[8]);
@GUARD@_API size_t @NAME@_arena_bytes(int threads);

@GUARD@_API int @NAME@_create(@NAME@_model** model, const @NAME@_options* options);
@GUARD@_API int @NAME@_run(@NAME@_model* model, const void* const* inputs, void* const* outputs);
/* `count` samples: run on each in turn, inputs and outputs lying one behind the other. */
@GUARD@_API int @NAME@_run_batch(@NAME@_model* model, size_t count, const void* const* inputs, void* const* outputs);
@GUARD@_API int @NAME@_selftest(@NAME@_model* model);
@GUARD@_API void @NAME@_destroy(@NAME@_model* model);
@GUARD@_API const char* @NAME@_isa(const @NAME@_model* model);

#ifdef __cplusplus
}

#include <utility>

namespace @NAME@ {

/* The same, for C++17: a model that is destroyed with the object. `error()` is 0 when it can be run. */
class Model {
 public:
  explicit Model(const @NAME@_options* options = nullptr) : error_(@NAME@_create(&model_, options)) {}
  ~Model() { @NAME@_destroy(model_); }
  Model(Model&& other) noexcept : model_(std::exchange(other.model_, nullptr)), error_(other.error_) {}
  Model& operator=(Model&& other) noexcept {
    std::swap(model_, other.model_);
    std::swap(error_, other.error_);
    return *this;
  }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  int error() const { return error_; }
  int run(const void* const* inputs, void* const* outputs) { return @NAME@_run(model_, inputs, outputs); }
  int selftest() { return @NAME@_selftest(model_); }

 private:
  @NAME@_model* model_ = nullptr;
  int error_;
};

}  // namespace @NAME@
#endif

#endif
