// Runs the self-test on every instruction set that the processor has, with one thread and with two.
#include <sys/stat.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "@NAME@.h"
@TEST_KEY@@SEAL_DECLARATION@
int main(int argc, char** argv) {
  (void)argc, (void)argv;
@ASK_KEY@@SEAL_CALL@  int failed = 0, ran = 0;
  for (const char* isa : {"base", "avx2", "avx512"}) {
    for (int threads = 1; threads <= 2; threads++) {
      @NAME@_options options = {};
      options.size = sizeof options;
      options.isa = isa;
      options.threads = threads;
@SET_KEY@      @NAME@_model* model = nullptr;
      int error = @NAME@_create(&model, &options);
      if (error == @GUARD@_ERROR_ARGUMENT) continue;  // another processor's
      if (!error) error = @NAME@_selftest(model);
      @NAME@_destroy(model);
      std::printf("%s, threads %d: %s (%d)\n", isa, threads, error ? "FAILED" : "ok", error);
      failed += error != 0;
      ran++;
    }
  }
  return failed || !ran ? 1 : 0;
}
