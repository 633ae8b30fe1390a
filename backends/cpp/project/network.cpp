// The network of @NAME@, a function a step, in the order in which they run. Written by mconv.
// Numbers in arena<T>(r, ...), weight<T>(r, ...) are bytes; the kernels, and what their arguments mean, are in the header.
@ENDS@#include "@NAME@_internal.h"
@MACROS@#include "@NAME@_kernels.h"

namespace {

@STEPS@
// Weights in the forms that are made from those in the file, once.
MC_NOINLINE void prepare_weights(Run& r) {
  (void)r;
@PREPARE@}

MC_NOINLINE void run_steps(Run& r) {
  (void)r;
@CALLS@
}

Run run_of(const @NAME@_frame& f) {
  return {f.threads, f.arena, f.others, f.others_stride, f.weights, f.prepared, f.in, f.out, (float*)f.arena,
          f.pool, f.dispatch, f.sizes};
}

void prepare(const @NAME@_frame& frame) {
  Run r = run_of(frame);
  prepare_weights(r);
}

void run(const @NAME@_frame& frame) {
  Run r = run_of(frame);
  run_steps(r);
}

}  // namespace

#ifndef @GUARD@_ISA
#define @GUARD@_ISA base
#endif
#define CODE_NAME(isa) @NAME@_code_##isa
#define CODE(isa) CODE_NAME(isa)
#define TEXT_OF(isa) #isa
#define TEXT(isa) TEXT_OF(isa)
extern "C" __attribute__((visibility("hidden"))) const @NAME@_code CODE(@GUARD@_ISA);
const @NAME@_code CODE(@GUARD@_ISA) = {TEXT(@GUARD@_ISA), prepare, run};
