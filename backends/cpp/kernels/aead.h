// ChaCha20-Poly1305 (RFC 8439): opens the sealed weights, checks their tag, wipes memory.
//
// sealed = nonce[12] | trace[20] | ciphertext | tag[16]; the trace is the associated data. One AEAD over the whole
// blob, so a changed, missing, added or moved byte anywhere is noticed, and the tag is checked before any plaintext
// is written. Time does not depend on the key or the data.

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the weights are stored little-endian");

enum { SEAL_HEAD = 32, SEAL_TAG = 16, SEAL_OVERHEAD = SEAL_HEAD + SEAL_TAG };

// Lanes of a vector: each lane runs one ChaCha20 block of 64 bytes.
#if defined(__AVX512F__)
enum { AEAD_LANES = 16 };
#elif defined(__AVX2__)
enum { AEAD_LANES = 8 };
#else
enum { AEAD_LANES = 4 };
#endif

typedef unsigned aead_word;
typedef aead_word aead_vec __attribute__((vector_size(4 * AEAD_LANES)));
typedef aead_word aead_quad __attribute__((vector_size(16)));
typedef unsigned long long aead_u64;
__extension__ typedef unsigned __int128 aead_u128;

// Zeros that the optimiser may not leave out.
inline void wipe(void* p, size_t n) {
    volatile unsigned char* byte = static_cast<volatile unsigned char*>(p);
    for (; n && reinterpret_cast<size_t>(byte) % 8; n--) *byte++ = 0;
    volatile aead_u64* word = reinterpret_cast<volatile aead_u64*>(byte);
    for (; n >= 8; n -= 8) *word++ = 0;
    byte = reinterpret_cast<volatile unsigned char*>(word);
    while (n--) *byte++ = 0;
}

template <class T>
inline T aead_load(const unsigned char* p) {
    T value;
    memcpy(&value, p, sizeof value);
    return value;
}

template <class V>
inline V aead_turn(V x, int bits) {
    return (x << bits) | (x >> (32 - bits));
}

template <class V>
inline void aead_quarter(V& a, V& b, V& c, V& d) {
    a += b; d = aead_turn(d ^ a, 16);
    c += d; b = aead_turn(b ^ c, 12);
    a += b; d = aead_turn(d ^ a, 8);
    c += d; b = aead_turn(b ^ c, 7);
}

template <class V>
inline void aead_rounds(V* x) {
    for (int i = 0; i < 10; i++) {
        for (int c = 0; c < 4; c++) aead_quarter(x[c], x[4 + c], x[8 + c], x[12 + c]);
        for (int c = 0; c < 4; c++)
            aead_quarter(x[c], x[4 + (c + 1) % 4], x[8 + (c + 2) % 4], x[12 + (c + 3) % 4]);
    }
}

// The state of section 2.3: constants, key, counter, nonce.
inline void aead_state(aead_word s[16], const unsigned char* key, aead_word counter, const unsigned char* nonce) {
    static const aead_word start[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(s, start, 16);
    memcpy(s + 4, key, 32);
    s[12] = counter;
    memcpy(s + 13, nonce, 12);
}

inline void aead_block(const aead_word s[16], aead_word out[16]) {
    memcpy(out, s, 64);
    aead_rounds(out);
    for (int i = 0; i < 16; i++) out[i] += s[i];
}

// out = in XOR keystream of AEAD_LANES blocks, the first of which has the counter in s.
inline void aead_wide(const aead_word s[16], const unsigned char* in, unsigned char* out) {
    aead_vec first[16], x[16];
    for (int i = 0; i < 16; i++) first[i] = aead_vec{} + s[i];
    for (int lane = 0; lane < AEAD_LANES; lane++) first[12][lane] += aead_word(lane);
    for (int i = 0; i < 16; i++) x[i] = first[i];
    aead_rounds(x);
    for (int i = 0; i < 16; i++) x[i] += first[i];
    // x[i] holds word i of all blocks; the bytes are wanted block by block, 16 of them at a time
    aead_word words[16][AEAD_LANES] __attribute__((aligned(64)));
    memcpy(words, x, sizeof words);
    for (int lane = 0; lane < AEAD_LANES; lane++)
        for (int i = 0; i < 16; i += 4, in += 16, out += 16) {
            aead_quad q = {words[i][lane], words[i + 1][lane], words[i + 2][lane], words[i + 3][lane]};
            q ^= aead_load<aead_quad>(in);
            memcpy(out, &q, 16);
        }
}

// out = in XOR keystream from block `counter` on; in == out is allowed.
inline void chacha20(const unsigned char* key, aead_word counter, const unsigned char* nonce, const unsigned char* in,
                     unsigned char* out, size_t n) {
    aead_word s[16], block[16];
    aead_state(s, key, counter, nonce);
    const size_t wide = 64 * AEAD_LANES;
    for (; n >= wide; n -= wide, in += wide, out += wide, s[12] += AEAD_LANES) aead_wide(s, in, out);
    for (; n; s[12]++) {
        aead_block(s, block);
        const size_t take = n < 64 ? n : 64;
        const unsigned char* k = reinterpret_cast<const unsigned char*>(block);
        for (size_t i = 0; i < take; i++) out[i] = static_cast<unsigned char>(in[i] ^ k[i]);
        in += take; out += take; n -= take;
    }
    wipe(s, sizeof s);
    wipe(block, sizeof block);
}

// Poly1305: numbers modulo 2^130 - 5 in three limbs of 44, 44 and 42 bits, so that sums of products fit 128 bits.
const aead_u64 AEAD_44 = (1ULL << 44) - 1, AEAD_42 = (1ULL << 42) - 1;

struct aead_number { aead_u64 a, b, c; };
struct aead_wide_number { aead_u128 a, b, c; };

inline aead_wide_number aead_times(const aead_number& h, const aead_number& r) {
    const aead_u64 s1 = r.b * 20, s2 = r.c * 20;  // 2^132 = 4 * 5
    return {aead_u128(h.a) * r.a + aead_u128(h.b) * s2 + aead_u128(h.c) * s1,
            aead_u128(h.a) * r.b + aead_u128(h.b) * r.a + aead_u128(h.c) * s2,
            aead_u128(h.a) * r.c + aead_u128(h.b) * r.b + aead_u128(h.c) * r.a};
}

inline aead_number aead_carried(aead_wide_number d) {
    aead_number h;
    d.b += aead_u64(d.a >> 44);
    d.c += aead_u64(d.b >> 44);
    const aead_u64 over = aead_u64(d.c >> 42) * 5;
    h.a = (aead_u64(d.a) & AEAD_44) + over;
    h.b = (aead_u64(d.b) & AEAD_44) + (h.a >> 44);
    h.c = aead_u64(d.c) & AEAD_42;
    h.a &= AEAD_44;
    return h;
}

struct Poly1305 {
    aead_number h, r, r2, r3, r4;
    aead_u64 pad[2];

    explicit Poly1305(const unsigned char* key) : h{0, 0, 0} {
        const aead_u64 low = aead_load<aead_u64>(key) & 0x0ffffffc0fffffffULL;
        const aead_u64 high = aead_load<aead_u64>(key + 8) & 0x0ffffffc0ffffffcULL;
        r = {low & AEAD_44, (low >> 44 | high << 20) & AEAD_44, high >> 24};
        r2 = aead_carried(aead_times(r, r));
        r3 = aead_carried(aead_times(r2, r));
        r4 = aead_carried(aead_times(r2, r2));
        memcpy(pad, key + 16, 16);
    }
    ~Poly1305() { wipe(this, sizeof *this); }
    Poly1305(const Poly1305&) = delete;
    Poly1305& operator=(const Poly1305&) = delete;

    static aead_number block(const unsigned char* p) {
        const aead_u64 low = aead_load<aead_u64>(p), high = aead_load<aead_u64>(p + 8);
        return {low & AEAD_44, (low >> 44 | high << 20) & AEAD_44, high >> 24 | 1ULL << 40};
    }

    // Whole blocks; what is left over is padded with zeros to a block, as the AEAD wants it.
    void padded(const unsigned char* p, size_t n) {
        // four blocks by four powers of r: their products do not wait for each other
        for (; n >= 64; n -= 64, p += 64) {
            aead_number m = block(p);
            m = {m.a + h.a, m.b + h.b, m.c + h.c};
            const aead_wide_number w = aead_times(m, r4), x = aead_times(block(p + 16), r3),
                                   y = aead_times(block(p + 32), r2), z = aead_times(block(p + 48), r);
            h = aead_carried({w.a + x.a + y.a + z.a, w.b + x.b + y.b + z.b, w.c + x.c + y.c + z.c});
        }
        while (n) {
            unsigned char last[16] = {0};
            const size_t take = n < 16 ? n : 16;
            memcpy(last, p, take);
            const aead_number m = block(last);
            h = aead_carried(aead_times({m.a + h.a, m.b + h.b, m.c + h.c}, r));
            p += take; n -= take;
        }
    }

    void finish(unsigned char tag[16]) {
        for (int i = 0; i < 2; i++) {  // full carries
            h.b += h.a >> 44; h.a &= AEAD_44;
            h.c += h.b >> 44; h.b &= AEAD_44;
            h.a += (h.c >> 42) * 5; h.c &= AEAD_42;
        }
        h.b += h.a >> 44; h.a &= AEAD_44;
        // h - p where h >= p, chosen without a branch
        aead_number g = {h.a + 5, h.b, h.c};
        g.b += g.a >> 44; g.a &= AEAD_44;
        g.c += g.b >> 44; g.b &= AEAD_44;
        const aead_u64 larger = 0 - (g.c >> 42);
        g.c &= AEAD_42;
        h = {(h.a & ~larger) | (g.a & larger), (h.b & ~larger) | (g.b & larger), (h.c & ~larger) | (g.c & larger)};
        const aead_u128 sum = (aead_u128(h.b >> 20 | h.c << 24) << 64 | (h.a | h.b << 44)) +
                              (aead_u128(pad[1]) << 64 | pad[0]);
        memcpy(tag, &sum, 16);
    }
};

// Zero where the 16 bytes are equal; every byte is looked at.
inline int aead_differ(const unsigned char* a, const unsigned char* b) {
    unsigned char different = 0;
    for (int i = 0; i < 16; i++) different |= static_cast<unsigned char>(a[i] ^ b[i]);
    volatile unsigned char result = different;
    return result != 0;
}

inline void aead_tag(const unsigned char* key, const unsigned char* nonce, const unsigned char* extra, size_t extra_size,
                     const unsigned char* text, size_t size, unsigned char tag[16]) {
    aead_word s[16], first[16];
    aead_state(s, key, 0, nonce);
    aead_block(s, first);
    {
        Poly1305 poly(reinterpret_cast<const unsigned char*>(first));
        poly.padded(extra, extra_size);
        poly.padded(text, size);
        unsigned char sizes[16];
        const aead_u64 both[2] = {extra_size, size};
        memcpy(sizes, both, 16);
        poly.padded(sizes, 16);
        poly.finish(tag);
    }
    wipe(s, sizeof s);
    wipe(first, sizeof first);
}

// Only the check: 0 sound, 1 too short to be sealed weights, 2 another key, or a byte has been changed.
inline int check_weights(const unsigned char* sealed, size_t n, const unsigned char key[32]) {
    if (n < SEAL_OVERHEAD) return 1;
    unsigned char tag[16];
    aead_tag(key, sealed, sealed + 12, SEAL_HEAD - 12, sealed + SEAL_HEAD, n - SEAL_OVERHEAD, tag);
    return aead_differ(tag, sealed + n - SEAL_TAG) ? 2 : 0;
}

// Opens n sealed bytes into n - SEAL_OVERHEAD bytes at `out`. Errors are those of check_weights; `out` is then untouched.
inline int open_weights(const unsigned char* sealed, size_t n, unsigned char* out, const unsigned char key[32]) {
    const int error = check_weights(sealed, n, key);
    if (!error) chacha20(key, 1, sealed, sealed + SEAL_HEAD, out, n - SEAL_OVERHEAD);
    return error;
}
