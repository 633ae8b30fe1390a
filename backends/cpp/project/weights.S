/* The weights as they are in the file: an assembler takes them in without parsing. */
#if defined(__APPLE__)
#define SYMBOL(name) _##name
    .section __TEXT,__const
#else
#define SYMBOL(name) name
    .section .rodata
#endif
    .globl SYMBOL(@NAME@_weights_data)
#if defined(__ELF__)
    .hidden SYMBOL(@NAME@_weights_data)
#endif
    .balign 64
SYMBOL(@NAME@_weights_data):
    .incbin "@NAME@_weights.bin"
    .byte 0
#if defined(__ELF__)
    .section .note.GNU-stack,"",%progbits
#endif
