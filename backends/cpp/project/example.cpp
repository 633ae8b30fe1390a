// How to call @NAME@: inputs of zeros, the first numbers of each output.
#include <cstdio>
#include <vector>

#include "@NAME@.h"

int main() {
  @NAME@_options options = {};
  options.size = sizeof options;
  options.threads = 1;
  @NAME@::Model model(&options);
  if (model.error()) {
    std::fprintf(stderr, "create: error %d\n", model.error());
    return 1;
  }
  std::vector<std::vector<unsigned char>> memory;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (int i = 0; i < @NAME@_inputs(); i++) inputs.push_back(memory.emplace_back(@NAME@_input(i)->bytes).data());
  for (int i = 0; i < @NAME@_outputs(); i++) outputs.push_back(memory.emplace_back(@NAME@_output(i)->bytes).data());
  if (int error = model.run(inputs.data(), outputs.data())) {
    std::fprintf(stderr, "run: error %d\n", error);
    return 1;
  }
  for (int i = 0; i < @NAME@_outputs(); i++) {
    const @NAME@_tensor* t = @NAME@_output(i);
    std::printf("output %d: %zu bytes", i, t->bytes);
    if (t->type == @GUARD@_F32)
      for (size_t k = 0; k < 5 && k < t->bytes / 4; k++) std::printf(" %g", double(static_cast<float*>(outputs[size_t(i)])[k]));
    std::printf("\n");
  }
  return 0;
}
