// What the interface and the code for an instruction set tell each other.
#ifndef @GUARD@_INTERNAL_H
#define @GUARD@_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

struct @NAME@_frame {
  int threads;
  unsigned char* arena;
  unsigned char* others;
  size_t others_stride;
  const unsigned char* weights;
  unsigned char* prepared;
  const void* const* in;
  void* const* out;
  void* pool;
  void (*dispatch)(void* pool, int items, void (*fn)(void* ctx, int item, int worker), void* ctx);
  int64_t (*sizes)[8];
};

// `prepare` brings weights into the form that this instruction set computes with, once; `run` is one inference.
struct @NAME@_code {
  const char* isa;
  void (*prepare)(const @NAME@_frame& frame);
  void (*run)(const @NAME@_frame& frame);
};

#endif
