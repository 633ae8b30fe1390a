// Whether the program's code is as it was when it was sealed, and sealing it.
// needs: aead
//
//   CodeTag            16 bytes by which sealing finds the place in the file, then the tag; a tag of zeros: not sealed
//   check_code(t, key) 0: the code around `t` is as it was sealed, or was never; 1: it is not
//   seal_code(t, key, file, n)  writes the tag into the bytes of a program or shared library that has `t`; 0: done;
//                      1: it has none, or several; -1: not on this system
//
// What is looked at is every segment that is not written, as it lies in the file: position-independent code and the
// constants it reads (shapes, tables, the sealed weights once more) are not changed by loading. The tag is Poly1305 with
// a key that is part of the (encrypted) weights. With AddressSanitizer, which forbids reading between two constants, code
// stays unsealed.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CODE_UNSEALED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || !defined(__linux__) || !defined(__ELF__)
#define CODE_UNSEALED
#endif
#ifndef CODE_UNSEALED
#include <elf.h>
#include <link.h>
#endif

namespace {

struct CodeTag {
  unsigned char mark[16];
  unsigned char tag[16];
};

#ifndef CODE_UNSEALED

// The tag of `n` bytes at p, leaving out those of the CodeTag at `hole`, where that is among them.
inline void code_tag(const unsigned char* key, const unsigned char* mark, const unsigned char* p, size_t n,
                     const unsigned char* hole, unsigned char* chain) {
  unsigned char tag[16];
  const bool inside = hole >= p && hole + sizeof(CodeTag) <= p + n;
  const size_t first = inside ? size_t(hole - p) : n;
  aead_tag(key, mark, chain, 16, p, first, tag);
  memcpy(chain, tag, 16);
  if (!inside) return;
  const size_t rest = first + sizeof(CodeTag);
  aead_tag(key, mark, chain, 16, p + rest, n - rest, tag);
  memcpy(chain, tag, 16);
}

struct CodeSearch {
  const CodeTag* t;
  const unsigned char* key;
  unsigned char chain[16];
  bool found;
};

inline int code_visit(struct dl_phdr_info* info, size_t, void* data) {
  CodeSearch* s = static_cast<CodeSearch*>(data);
  const size_t own = reinterpret_cast<size_t>(s->t);
  bool here = false;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& h = info->dlpi_phdr[i];
    const size_t begin = size_t(info->dlpi_addr + h.p_vaddr);
    if (h.p_type == PT_LOAD && own >= begin && own < begin + h.p_memsz) here = true;
  }
  if (!here) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& h = info->dlpi_phdr[i];
    if (h.p_type == PT_LOAD && !(h.p_flags & PF_W))
      code_tag(s->key, s->t->mark, reinterpret_cast<const unsigned char*>(info->dlpi_addr + h.p_vaddr), h.p_filesz,
               reinterpret_cast<const unsigned char*>(s->t), s->chain);
  }
  s->found = true;
  return 1;
}

// The tag, without its contents being known to the compiler: it may keep a second copy of them among its constants.
inline const CodeTag* unknown(const CodeTag* t) {
  __asm__("" : "+r"(t));
  return t;
}

inline int check_code(const CodeTag* t, const unsigned char* key) {
  t = unknown(t);
  const unsigned char zeros[16] = {};
  unsigned char tag[16];
  memcpy(tag, t->tag, 16);
  if (!aead_differ(tag, zeros)) return 0;
  CodeSearch s = {t, key, {}, false};
  dl_iterate_phdr(code_visit, &s);
  return s.found && !aead_differ(tag, s.chain) ? 0 : 1;
}

inline int seal_code(const CodeTag* t, const unsigned char* key, unsigned char* file, size_t n) {
  t = unknown(t);
  if (n < sizeof(ElfW(Ehdr)) || memcmp(file, ELFMAG, SELFMAG)) return 1;
  ElfW(Ehdr) head;
  memcpy(&head, file, sizeof head);
  unsigned char* place = nullptr;
  for (size_t i = 0; i + sizeof(CodeTag) <= n; i++) {
    if (file[i] != t->mark[0] || memcmp(file + i, t->mark, 16)) continue;
    if (place) return 1;  // which of them the check will look at cannot be told
    place = file + i;
  }
  if (!place || head.e_phentsize != sizeof(ElfW(Phdr))) return 1;
  unsigned char chain[16] = {};
  for (int i = 0; i < head.e_phnum; i++) {
    ElfW(Phdr) h;
    const size_t at = size_t(head.e_phoff) + size_t(i) * sizeof h;
    if (at + sizeof h > n) return 1;
    memcpy(&h, file + at, sizeof h);
    if (h.p_type != PT_LOAD || (h.p_flags & PF_W)) continue;
    if (h.p_offset > n || h.p_filesz > n - h.p_offset) return 1;
    code_tag(key, t->mark, file + h.p_offset, h.p_filesz, place, chain);
  }
  memcpy(place + 16, chain, 16);
  return 0;
}

#else

inline int check_code(const CodeTag*, const unsigned char*) { return 0; }
inline int seal_code(const CodeTag*, const unsigned char*, unsigned char*, size_t) { return -1; }

#endif

}  // namespace
