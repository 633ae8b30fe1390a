// reorder: copies between planar and blocked memory.
// needs: vec run parallel
//
// Axes that are not blocked come as a count, sizes, and the strides (elements) on both sides, outermost first.
//   copy_strided(r, x, y, axes, sizes, from, to)                        planar to planar, any element type
//   copy_blocks(r, x, y, blocks, xb, yb, axes, sizes, from, to)         blocked to blocked; xb, yb from block to block
//   pack_blocks(r, x, y, channels, xc, yb, axes, sizes, from, to)       planar to blocked; xc from channel to channel
//   unpack_blocks(r, x, y, channels, xb, yc, axes, sizes, from, to)     blocked to planar
// What fills up the last block is zero after pack_blocks.

namespace {

struct Axes { int64_t n[8]; };

// Calls f(offset in x, offset in y) for every index of the axes but the innermost `skip`.
template <class F>
void each_index(int axes, const Axes& sizes, const Axes& from, const Axes& to, F f) {
    int64_t index[8] = {0}, a = 0, b = 0;
    for (;;) {
        f(a, b);
        int axis = axes - 1;
        for (; axis >= 0; axis--) {
            a += from.n[axis];
            b += to.n[axis];
            if (++index[axis] < sizes.n[axis]) break;
            a -= from.n[axis] * sizes.n[axis];
            b -= to.n[axis] * sizes.n[axis];
            index[axis] = 0;
        }
        if (axis < 0) return;
    }
}

MC_INLINE int outer_axes(int axes, const Axes& sizes, int64_t& inner) {
    inner = axes ? sizes.n[axes - 1] : 1;
    return axes ? axes - 1 : 0;
}

template <class T>
void copy_strided(Run&, const T* x, T* y, int axes, const Axes& sizes, const Axes& from, const Axes& to) {
    int64_t inner;
    const int outer = outer_axes(axes, sizes, inner);
    const int64_t sx = axes ? from.n[outer] : 0, sy = axes ? to.n[outer] : 0;
    each_index(outer, sizes, from, to, [&](int64_t a, int64_t b) {
        if (sx == 1 && sy == 1) memcpy(y + b, x + a, size_t(inner) * sizeof(T));
        else for (int64_t i = 0; i < inner; i++) y[b + i * sy] = x[a + i * sx];
    });
}

template <class T>
void copy_blocks(Run& r, const T* x, T* y, int blocks, int64_t xb, int64_t yb, int axes, const Axes& sizes,
                 const Axes& from, const Axes& to) {
    int64_t inner;
    const int outer = outer_axes(axes, sizes, inner);
    const int64_t sx = axes ? from.n[outer] : 16, sy = axes ? to.n[outer] : 16;
    parallel(r, blocks, [&](int block, int) {
        const T* xs = x + block * xb;
        T* ys = y + block * yb;
        each_index(outer, sizes, from, to, [&](int64_t a, int64_t b) {
            if (sx == 16 && sy == 16) memcpy(ys + b, xs + a, size_t(inner) * 16 * sizeof(T));
            else for (int64_t i = 0; i < inner; i++) memcpy(ys + b + i * sy, xs + a + i * sx, 16 * sizeof(T));
        });
    });
}

template <class T>
void pack_blocks(Run& r, const T* x, T* y, int channels, int64_t xc, int64_t yb, int axes, const Axes& sizes,
                 const Axes& from, const Axes& to) {
    int64_t inner;
    const int outer = outer_axes(axes, sizes, inner);
    const int64_t sx = axes ? from.n[outer] : 0, sy = axes ? to.n[outer] : 16;
    parallel(r, (channels + 15) / 16, [&](int block, int) {
        const int lanes = channels - block * 16 < 16 ? channels - block * 16 : 16;
        each_index(outer, sizes, from, to, [&](int64_t a, int64_t b) {
            const T* xs = x + block * 16 * xc + a;
            T* ys = y + block * yb + b;
            for (int64_t i = 0; i < inner; i++) {
                int c = 0;
                for (; c < lanes; c++) ys[i * sy + c] = xs[i * sx + c * xc];
                for (; c < 16; c++) ys[i * sy + c] = T();
            }
        });
    });
}

template <class T>
void unpack_blocks(Run& r, const T* x, T* y, int channels, int64_t xb, int64_t yc, int axes, const Axes& sizes,
                   const Axes& from, const Axes& to) {
    int64_t inner;
    const int outer = outer_axes(axes, sizes, inner);
    const int64_t sx = axes ? from.n[outer] : 16, sy = axes ? to.n[outer] : 0;
    parallel(r, (channels + 15) / 16, [&](int block, int) {
        const int lanes = channels - block * 16 < 16 ? channels - block * 16 : 16;
        each_index(outer, sizes, from, to, [&](int64_t a, int64_t b) {
            const T* xs = x + block * xb + a;
            T* ys = y + block * 16 * yc + b;
            if (yc == 1) {
                for (int64_t i = 0; i < inner; i++) memcpy(ys + i * sy, xs + i * sx, size_t(lanes) * sizeof(T));
            } else {
                for (int c = 0; c < lanes; c++)
                    for (int64_t i = 0; i < inner; i++) ys[i * sy + c * yc] = xs[i * sx + c];
            }
        });
    });
}

}  // namespace
