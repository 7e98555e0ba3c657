/* Innermost products. All operands are panels: 16 floats a row, so that a row is a cache line. */
#ifndef FC_GEMM_H
#define FC_GEMM_H
#include "vec.h"

/* Rows at a time: as many sums as the registers hold. */
#if WIDTH == 16
#define ROWS 12
#define ROWS_OUTER 16
#elif WIDTH == 8
#define ROWS 6
#define ROWS_OUTER 6
#else
#define ROWS 2
#define ROWS_OUTER 2
#endif

/* c[r] (rows, 16) (+)= sum_j a_j (rows, 16) b_j (16, 16), which begin a0 and b0 floats after their pointers. */
INLINE void inner_rows(const int rows, int count, const float *const *a, int64_t a0, const float *const *b, int64_t b0,
                       float *c, int add) {
    vec sum[ROWS][PARTS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < PARTS; v++) sum[r][v] = add ? load(c + r * PANEL + v * WIDTH) : (vec){0};
    for (int j = 0; j < count; j++) {
        const float *x = a[j] + a0, *y = b[j] + b0;
        if (j + 1 < count) /* the next panel lies elsewhere, where no hardware looks ahead */
            for (int r = 0; r < rows; r++) __builtin_prefetch(a[j + 1] + a0 + r * PANEL);
#pragma GCC unroll 4
        for (int k = 0; k < PANEL; k++) {
            vec w[PARTS];
            for (int v = 0; v < PARTS; v++) w[v] = load(y + k * PANEL + v * WIDTH);
            for (int r = 0; r < rows; r++)
                for (int v = 0; v < PARTS; v++) sum[r][v] += x[r * PANEL + k] * w[v];
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < PARTS; v++) store(c + r * PANEL + v * WIDTH, sum[r][v]);
}

/* c (rows, 16) (+)= sum_j a_j b_j over any number of rows; a_j and b_j begin a0 and b0 floats after their pointers. */
INLINE void inner(int64_t rows, int count, const float *const *a, int64_t a0, const float *const *b, int64_t b0,
                  float *c, int add) {
#define ROWS_OF(n)                                                      \
    for (; rows >= n; rows -= n, a0 += n * PANEL, c += n * PANEL) \
        inner_rows(n, count, a, a0, b, b0, c, add)
    ROWS_OF(ROWS);
#if WIDTH >= 8
    ROWS_OF(4);
    ROWS_OF(2);
#endif
    ROWS_OF(1);
#undef ROWS_OF
}

/* c[first .. first + rows] (16) = sum_p a[p][first ..] b[p]. */
INLINE void outer_rows(const int rows, int first, int64_t points, const float *a, const float *b, float *c) {
    vec sum[ROWS_OUTER][PARTS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < PARTS; v++) sum[r][v] = (vec){0};
    for (int64_t p = 0; p < points; p++) {
        vec w[PARTS];
        for (int v = 0; v < PARTS; v++) w[v] = load(b + p * PANEL + v * WIDTH);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < PARTS; v++) sum[r][v] += a[p * PANEL + first + r] * w[v];
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < PARTS; v++) store(c + (first + r) * PANEL + v * WIDTH, sum[r][v]);
}

/* c (16, 16) = a^T b with a, b (points, 16). */
INLINE void outer(int64_t points, const float *a, const float *b, float *c) {
#if ROWS_OUTER == 16
    outer_rows(16, 0, points, a, b, c);
#elif ROWS_OUTER == 6
    outer_rows(6, 0, points, a, b, c);
    outer_rows(5, 6, points, a, b, c);
    outer_rows(5, 11, points, a, b, c);
#else
    for (int first = 0; first < PANEL; first += 2) outer_rows(2, first, points, a, b, c);
#endif
}
#endif
