/* Vectors of WIDTH floats in the compiler's own notation, so that one text serves every instruction set. */
#ifndef FC_VEC_H
#define FC_VEC_H
#include <stdint.h>
#include <string.h>

#define PANEL 16
#define PARTS (PANEL / WIDTH)
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * WIDTH)));
typedef int32_t ivec __attribute__((vector_size(4 * WIDTH)));

/* By memcpy, as p need not be aligned to a vector; it compiles to one instruction. */
INLINE vec load(const float *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store(float *p, vec v) { memcpy(p, &v, sizeof v); }

/* The first n floats at p, zeros after them; p may end there. */
INLINE vec load_n(const float *p, int64_t n) {
    if (n >= WIDTH) return load(p);
    vec v = {0};
    for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}

INLINE void store_n(float *p, vec v, int64_t n) {
    if (n >= WIDTH) {
        store(p, v);
        return;
    }
    for (int64_t i = 0; i < n; i++) p[i] = v[i];
}

INLINE vec choose(ivec mask, vec yes, vec no) { return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask)); }

/* Alternating elements of the lower, and of the upper, halves of a and b. */
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif
#if WIDTH == 16
#define LOWER(a, b) SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define UPPER(a, b) SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif WIDTH == 8
#define LOWER(a, b) SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define UPPER(a, b) SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define LOWER(a, b) SHUFFLE(a, b, 0, 4, 1, 5)
#define UPPER(a, b) SHUFFLE(a, b, 2, 6, 3, 7)
#endif

/* to[c * to_step + r] (+)= from[r * from_step + c]. Squares of WIDTH by interleaving rows r and r + WIDTH / 2, which,
   done log2(WIDTH) times, turns the square. */
INLINE void transpose(const float *from, int64_t rows, int64_t from_step, int64_t columns, float *to, int64_t to_step,
                      const int add) {
    for (int64_t r = 0; r < rows; r += WIDTH)
        for (int64_t c = 0; c < columns; c += WIDTH) {
            if (r + WIDTH > rows || c + WIDTH > columns) {
                for (int64_t i = r; i < rows && i < r + WIDTH; i++)
                    for (int64_t j = c; j < columns && j < c + WIDTH; j++) {
                        float *p = to + j * to_step + i;
                        *p = from[i * from_step + j] + (add ? *p : 0.0f);
                    }
                continue;
            }
            vec x[WIDTH], y[WIDTH];
            for (int i = 0; i < WIDTH; i++) x[i] = load(from + (r + i) * from_step + c);
#pragma GCC unroll 4
            for (int stage = 1; stage < WIDTH; stage *= 2) {
                for (int i = 0; i < WIDTH / 2; i++) {
                    y[2 * i] = LOWER(x[i], x[i + WIDTH / 2]);
                    y[2 * i + 1] = UPPER(x[i], x[i + WIDTH / 2]);
                }
                for (int i = 0; i < WIDTH; i++) x[i] = y[i];
            }
            for (int j = 0; j < WIDTH; j++) {
                float *p = to + (c + j) * to_step + r;
                store(p, add ? x[j] + load(p) : x[j]);
            }
        }
}

/* exp(x) - 1 without cancellation near 0 (polynomial of Cephes' expf); arguments beyond +-87 count as +-87; NaN stays. */
INLINE vec expm1_(vec x) {
    x = choose(x > 87.0f, (vec){0} + 87.0f, x);
    x = choose(x < -87.0f, (vec){0} - 87.0f, x);
    const vec rounding = (vec){0} + 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    const vec n = (x * 1.44269504088896341f + rounding) - rounding;
    /* ln 2 in two parts, 0.693359375 - 2.1219e-4: the first has so few bits that its product with n is exact */
    const vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vec q = r * 1.9875691500e-4f + 1.3981999507e-3f;
    q = q * r + 8.3334519073e-3f;
    q = q * r + 4.1665795894e-2f;
    q = q * r + 1.6666665459e-1f;
    q = q * r + 5.0000001201e-1f;
    const vec p = q * (r * r) + r;
    const ivec bits = (__builtin_convertvector(n, ivec) + 127) << 23; /* 2^n, written into the exponent */
    vec scale;
    memcpy(&scale, &bits, sizeof scale);
    return scale * p + (scale - 1.0f); /* 2^n (e^r - 1) + (2^n - 1): near 0, where n is 0, nothing cancels */
}

INLINE vec sigmoid(vec x) { return 1.0f / (2.0f + expm1_(-x)); }

/* By expm1 and not by exp: tanh x is about x near 0, where e^-2x - 1 would cancel. */
INLINE vec tanh_(vec x) {
    const vec e = expm1_(-2.0f * x);
    return -e / (2.0f + e);
}
#endif
