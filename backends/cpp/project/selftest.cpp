// Runs the self-test on every instruction set that the processor has, with one thread and with two.
#include <sys/stat.h>
@WATCH_INCLUDES@
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "@NAME@.h"
@TEST_KEY@@WATCH@@SEAL_DECLARATION@
// Where the weights are not in the library: their file in the folder that the test is run in.
static void give_weights(@NAME@_options& options) {
#ifdef @GUARD@_EXTERNAL_WEIGHTS
  static unsigned char* weights = nullptr;
  static size_t bytes = 0;
  std::FILE* file = weights ? nullptr : std::fopen("@NAME@_weights.bin", "rb");
  if (file && !std::fseek(file, 0, SEEK_END)) {
    bytes = size_t(std::ftell(file));
    weights = static_cast<unsigned char*>(::operator new(bytes, std::align_val_t(64)));
    std::rewind(file);
    bytes = std::fread(weights, 1, bytes, file);
  }
  if (file) std::fclose(file);
  options.weights = weights;
  options.weights_bytes = bytes;
#else
  (void)options;
#endif
}

int main(int argc, char** argv) {
@WATCH_CALL@  (void)argc, (void)argv;
@ASK_KEY@@SEAL_CALL@  int failed = 0, ran = 0;
  for (const char* isa : {"base", "avx2", "avx512"}) {
    for (int threads = 1; threads <= 2; threads++) {
      @NAME@_options options = {};
      options.size = sizeof options;
      options.isa = isa;
      options.threads = threads;
      give_weights(options);
@SET_KEY@      @NAME@_model* model = nullptr;
      int error = @NAME@_create(&model, &options);
      if (error == @GUARD@_ERROR_ARGUMENT) continue;  // another processor's
@WATCH_END@      if (!error) error = @NAME@_selftest(model);
      @NAME@_destroy(model);
      std::printf("%s, threads %d: %s (%d)\n", isa, threads, error ? "FAILED" : "ok", error);
      failed += error != 0;
      ran++;
    }
  }
  return failed || !ran ? 1 : 0;
}
