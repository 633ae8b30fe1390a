"""The code around sealed weights: opening them in create, the key, wiping in destroy, the tag of the code, the key of
the self-test.
"""

from __future__ import annotations

import hashlib

from . import protect
from .blob import Blob
from .fragments import joined
from .view import View

OPEN = """  unsigned char key[32];
  if (!error && %(missing)s) error = %(guard)s_ERROR_KEY;
  if (!error && !(m->opened = allocate(OPENED))) error = %(guard)s_ERROR_MEMORY;
  if (!error && open_weights(weights, WEIGHTS, m->opened, key)) error = %(guard)s_ERROR_WEIGHTS;
  wipe(key, sizeof key);
  weights = m->opened;
  if (!error && check_code(&code_mark, weights + CODE_KEY)) error = %(guard)s_ERROR_CODE;
"""
CALLER = "(!options.key || options.key(options.user, key))"
EITHER = "(options.key ? options.key(options.user, key) : (embedded_key(key), 0))"
WIPE = """  if (m->opened) wipe(m->opened, OPENED);
  if (m->prepared) wipe(m->prepared, PREPARED);
  if (m->own) wipe(m->own, arena_bytes(m->frame.threads ? m->frame.threads : 1));
"""
TAG = """
// Sealing a linked program writes the tag of its code behind the mark.
const CodeTag code_mark = {{%(mark)s}, {0}};
constexpr size_t CODE_KEY = %(code_key)s;  // where its key lies in the weights
"""
CHECK_CODE = """  if (check_code(&code_mark, m->frame.weights + CODE_KEY)) return %(guard)s_ERROR_CODE;
"""
SEAL_CODE = """
// Seals a program's or library's code, for selftest --seal; not part of the interface.
extern "C" HIDDEN int %(name)s_seal_code(%(name)s_model* m, unsigned char* file, size_t n) {
  return seal_code(&code_mark, m->frame.weights + CODE_KEY, file, n);
}
"""
TEST_KEY = """
// The key file is the program's argument: 32 bytes, or 64 hexadecimal digits.
static unsigned char file_key[32];

static int give_key(void*, unsigned char key[32]) {
  for (int i = 0; i < 32; i++) key[i] = file_key[i];
  return 0;
}

static bool read_key(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (!file) return false;
  unsigned char text[65] = {};
  const size_t n = std::fread(text, 1, 64, file);
  std::fclose(file);
  if (n == 32) {
    for (int i = 0; i < 32; i++) file_key[i] = text[i];
    return true;
  }
  unsigned byte;
  for (int i = 0; i < 32; i++) {
    if (std::sscanf(reinterpret_cast<const char*>(text) + 2 * i, "%2x", &byte) != 1) return false;
    file_key[i] = static_cast<unsigned char>(byte);
  }
  return n == 64;
}
"""
WATCH = """
// A changed byte in what runs before the look at the code can end the program in any way, or keep it from ending. So it
// runs in a child, from before the first constructor on (some are the compiler's), and what ends the child is an error.
static bool watched = false;

static void watch() {
  if (watched) return;
  watched = true;
  const pid_t child = fork();
  if (child == 0) alarm(%(seconds)d);
  if (child <= 0) return;
  int status;
  if (waitpid(child, &status, 0) == child && WIFEXITED(status)) _exit(WEXITSTATUS(status));
  char text[64];
  const int n = std::snprintf(text, sizeof text, "the program was changed: FAILED (%%d)\\n", %(guard)s_ERROR_CODE);
  _exit(write(1, text, size_t(n)) == n ? 1 : 2);
}

#ifdef __linux__
__attribute__((section(".preinit_array"), used)) static void (*const watch_first)() = watch;
#endif
"""
WATCH_CALL = """  watch();
"""
WATCH_END = """      if (!error) alarm(0);  // the code is as it was sealed
"""
WATCH_INCLUDES = """#include <sys/wait.h>
#include <unistd.h>
"""
LONGEST = 30
"""Seconds that a self-test may take to open the weights and look at the code, and one more for each MB of weights: a
slow, emulated machine does it in less."""
ASK_KEY = """  if (argc < 2 || !read_key(argv[1])) {
    std::fprintf(stderr, "usage: %s KEYFILE\\n", argv[0]);
    return 2;
  }
"""


SEAL_DECLARATION = """
extern "C" int %(name)s_seal_code(%(name)s_model* model, unsigned char* file, size_t n);

// Writes the tag of its code into a linked file, which is replaced as a whole.
static int seal(%(name)s_model* model, const char* path) {
  std::string content, beside = std::string(path) + ".sealed";
  std::FILE* file = std::fopen(path, "rb");
  if (!file) return 1;
  char part[65536];
  for (size_t n; (n = std::fread(part, 1, sizeof part, file)) > 0;) content.append(part, n);
  std::fclose(file);
  const int error = %(name)s_seal_code(model, reinterpret_cast<unsigned char*>(&content[0]), content.size());
  if (error < 0) std::fprintf(stderr, "%%s stays unsealed: that needs ELF, Linux and no AddressSanitizer\\n", path);
  if (error) return error > 0;
  file = std::fopen(beside.c_str(), "wb");
  if (!file) return 1;
  const bool whole = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  if (std::fclose(file) || !whole || chmod(beside.c_str(), 0755)) return 1;
  return std::rename(beside.c_str(), path);
}
"""
SEAL_CALL = """  for (int i = 1; i < argc; i++) {
    if (std::strcmp(argv[i], "--seal")) continue;
    %(name)s_options options = {};
    options.size = sizeof options;
    give_weights(options);
@SET_KEY@    %(name)s_model* model = nullptr;
    int error = %(name)s_create(&model, &options);
    for (i++; i < argc && !error; i++) error = seal(model, argv[i]);
    %(name)s_destroy(model);
    if (error) std::fprintf(stderr, "sealing failed (%%d)\\n", error);
    return error;
  }
"""
SEAL_LINE = """
# The tag of the code goes into what is linked (for another machine: make RUN=qemu-aarch64, or on that machine).
# With a key of your own: make KEY=file
all: sealed
sealed: lib%(name)s.so selftest
	$(RUN) ./selftest %(key)s--seal lib%(name)s.so selftest
	touch $@
"""
SEAL_EXAMPLE = "\t$(RUN) ./selftest %(key)s--seal $@\n"
CMAKE_SEAL = """
# The tag of the code goes into what is linked. With a key of your own: cmake -DKEY=file
set(KEY "" CACHE FILEPATH "the key of the weights, where they have one of your own")
add_dependencies(%(name)s_shared %(name)s_selftest)
add_dependencies(%(name)s_example %(name)s_selftest)
foreach(target %(name)s_selftest %(name)s_shared %(name)s_example)
  add_custom_command(TARGET ${target} POST_BUILD COMMAND %(name)s_selftest ${KEY} --seal $<TARGET_FILE:${target}>
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
endforeach()
"""


def words(blob: Blob, name: str, code_key: View | None) -> dict[str, object]:
    """What templates have to say of sealed weights; nothing where they are in the clear."""
    empty = [
        "AEAD",
        "TAG",
        "OPEN",
        "WIPE",
        "CHECK_CODE",
        "SEAL_CODE",
        "TEST_KEY",
        "ASK_KEY",
        "SET_KEY",
        "SEALER",
        "SEAL_EXAMPLE",
    ]
    empty += [
        "WATCH",
        "WATCH_CALL",
        "WATCH_END",
        "WATCH_INCLUDES",
        "SEAL_DECLARATION",
        "SEAL_CALL",
        "SEAL_LINE",
        "CMAKE_SEAL",
    ]
    plain: dict[str, object] = {**dict.fromkeys(empty, ""), "OPENED": blob.opened}
    seal, guard = blob.seal, name.upper()
    if seal is None or code_key is None:
        return plain
    aead = joined(["aead", "code_check"])
    mark = hashlib.blake2b(seal.build.seed, digest_size=16, person=b"code mark").digest()
    key = "" if seal.embedded else "$(KEY) "
    embedded = f"namespace {{\n{protect.embedded_key_source(seal.key, seal.build)}}}  // namespace\n"
    return {
        **plain,
        "AEAD": aead + (embedded if seal.embedded else ""),
        "OPEN": OPEN % {"missing": EITHER if seal.embedded else CALLER, "guard": guard},
        "WIPE": WIPE,
        "TEST_KEY": "" if seal.embedded else TEST_KEY,
        "TAG": TAG % {"mark": ", ".join(map(str, mark)), "code_key": code_key.buffer.offset},
        "WATCH": WATCH % {"guard": guard, "seconds": LONGEST + (blob.nbytes >> 20)},
        "WATCH_END": WATCH_END,
        "WATCH_CALL": WATCH_CALL,
        "WATCH_INCLUDES": WATCH_INCLUDES,
        "CHECK_CODE": CHECK_CODE % {"guard": guard},
        "SEAL_CODE": SEAL_CODE % {"name": name},
        "SEAL_DECLARATION": SEAL_DECLARATION % {"name": name},
        "SEAL_CALL": (SEAL_CALL % {"name": name, "guard": guard}).replace(
            "@SET_KEY@", "" if seal.embedded else "    options.key = give_key;\n"
        ),
        "SEAL_LINE": SEAL_LINE % {"name": name, "key": key},
        "CMAKE_SEAL": CMAKE_SEAL % {"name": name},
        "SEALER": " selftest",
        "SEAL_EXAMPLE": SEAL_EXAMPLE % {"key": key},
        "ASK_KEY": "" if seal.embedded else ASK_KEY,
        "SET_KEY": "" if seal.embedded else "      options.key = give_key;\n",
    }
