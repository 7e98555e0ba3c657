/* Winograd convolutions F(4 x 4, TAPS x TAPS) and their adjoints, phase by phase. Included once per number of taps.

   A map is cut into tiles of 4 x 4 outputs; each sees a window of EDGE x EDGE inputs and lives in AREA frequencies.
   Work goes through chunks of P tiles, so that the transformed maps stay small. Their layout is [panel][frequency]
   [stride][16], stride = odd(P): rows of neighbouring frequencies must not fall into the same set of the cache. */
#define EDGE (TAPS + 3)
#define AREA (EDGE * EDGE)
#define TILE 4
#define JOIN_(name, taps) name##_##taps
#define JOIN(name, taps) JOIN_(name, taps)
#define NAMED(name) JOIN(name, TAPS)

/* Where tile row `row` (over all images) and column lie in the maps. */
INLINE void NAMED(locate)(const fc_plan *plan, int64_t row, int64_t column, int64_t *b, int64_t *y, int64_t *x) {
    *b = row / plan->down;
    *y = row % plan->down * TILE;
    *x = column * TILE;
}

/* One window of a map, 16 channels of it from `c` on, into V. */
INLINE void NAMED(window_in)(const fc_op *op, const float *map, int64_t channels, int64_t c, int64_t b, int64_t y0,
                             int64_t x0, float *v, int64_t stride) {
    vec half[AREA], column[EDGE], row[EDGE];
    for (int part = 0; part < PARTS; part++, c += WIDTH, v += WIDTH) {
        const int64_t n = channels - c;
        for (int j = 0; j < EDGE; j++) {
            const int64_t x = x0 + j - TAPS / 2;
            for (int i = 0; i < EDGE; i++) {
                const int64_t y = y0 + i - TAPS / 2;
                /* zeros are the padding at the border, and the channels that fill up the last panel */
                const int inside = n > 0 && x >= 0 && x < op->width && y >= 0 && y < op->height;
                column[i] = inside ? load_n(map + ((b * op->height + y) * op->width + x) * channels + c, n) : (vec){0};
            }
            NAMED(input)(column, 1, half + j, EDGE);
        }
        for (int i = 0; i < EDGE; i++) {
            NAMED(input)(half + i * EDGE, 1, row, 1);
            for (int j = 0; j < EDGE; j++) store(v + (i * EDGE + j) * stride, row[j]);
        }
    }
}

/* Adjoint of window_in: gradients of the window are added to those of the map. */
INLINE void NAMED(window_out)(const fc_op *op, const float *v, int64_t stride, float *map, int64_t channels, int64_t c,
                              int64_t b, int64_t y0, int64_t x0) {
    vec half[AREA], column[EDGE], row[EDGE];
    for (int part = 0; part < PARTS && c < channels; part++, c += WIDTH, v += WIDTH) {
        const int64_t n = channels - c;
        for (int i = 0; i < EDGE; i++) {
            for (int j = 0; j < EDGE; j++) row[j] = load(v + (i * EDGE + j) * stride);
            NAMED(input_adjoint)(row, 1, half + i * EDGE, 1);
        }
        for (int j = 0; j < EDGE; j++) {
            const int64_t x = x0 + j - TAPS / 2;
            if (x < 0 || x >= op->width) continue;
            NAMED(input_adjoint)(half + j, EDGE, column, 1);
            for (int i = 0; i < EDGE; i++) {
                const int64_t y = y0 + i - TAPS / 2;
                if (y < 0 || y >= op->height) continue;
                float *p = map + ((b * op->height + y) * op->width + x) * channels + c;
                store_n(p, load_n(p, n) + column[i], n);
            }
        }
    }
}

/* The maps of all sources into V. */
static void NAMED(maps_in)(const fc_op *op, const fc_plan *plan, const fc_chunk *chunk, float *v) {
    const int64_t rows = chunk->last - chunk->first;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(op->threads)
    for (int j = 0; j < plan->count; j++)
        for (int64_t r = 0; r < rows; r++) {
            const fc_source *source = op->source + plan->source[j];
            for (int64_t t = 0; t < plan->across; t++) {
                int64_t b, y, x;
                NAMED(locate)(plan, chunk->first + r, t, &b, &y, &x);
                float *to = v + j * AREA * chunk->stride * PANEL + (r * plan->across + t) * PANEL;
                NAMED(window_in)(op, source->x, source->channels, plan->panel[j] * PANEL, b, y, x, to,
                                 chunk->stride * PANEL);
            }
        }
}

/* Adjoint of maps_in; tiles of an image overlap, so that one thread takes all of them. */
static void NAMED(maps_out)(const fc_op *op, const fc_plan *plan, const fc_chunk *chunk, const float *v) {
    const int64_t image = chunk->first / plan->down, images = (chunk->last - 1) / plan->down - image + 1;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(op->threads)
    for (int j = 0; j < plan->count; j++)
        for (int64_t m = 0; m < images; m++) {
            const fc_source *source = op->source + plan->source[j];
            if (!source->dx) continue;
            const int64_t begin = (image + m) * plan->down, end = begin + plan->down;
            for (int64_t row = begin > chunk->first ? begin : chunk->first; row < end && row < chunk->last; row++)
                for (int64_t t = 0; t < plan->across; t++) {
                    int64_t b, y, x;
                    NAMED(locate)(plan, row, t, &b, &y, &x);
                    const float *from = v + j * AREA * chunk->stride * PANEL +
                                        ((row - chunk->first) * plan->across + t) * PANEL;
                    NAMED(window_out)(op, from, chunk->stride * PANEL, source->dx, source->channels,
                                      plan->panel[j] * PANEL, b, y, x);
                }
        }
}

/* 16 rows of TAPS x TAPS x 16 weights into their frequencies, `stride` floats apart, a row 16 after the other. */
INLINE void NAMED(weights_in)(const float *w, float *u, int64_t stride) {
    vec half[EDGE * TAPS], row[EDGE];
    for (int k = 0; k < PANEL; k++, w += TAPS * TAPS * PANEL, u += PANEL)
        for (int part = 0; part < PANEL; part += WIDTH) {
            for (int j = 0; j < TAPS; j++) {
                for (int i = 0; i < TAPS; i++) row[i] = load(w + (i * TAPS + j) * PANEL + part);
                NAMED(weight)(row, 1, half + j, TAPS);
            }
            for (int i = 0; i < EDGE; i++) {
                NAMED(weight)(half + i * TAPS, 1, row, 1);
                for (int j = 0; j < EDGE; j++) store(u + (i * EDGE + j) * stride + part, row[j]);
            }
        }
}

/* Adjoint of weights_in. */
INLINE void NAMED(weights_out)(const float *u, int64_t stride, float *w) {
    vec half[EDGE * TAPS], row[EDGE];
    for (int k = 0; k < PANEL; k++, w += TAPS * TAPS * PANEL, u += PANEL)
        for (int part = 0; part < PANEL; part += WIDTH) {
            for (int i = 0; i < EDGE; i++) {
                for (int j = 0; j < EDGE; j++) row[j] = load(u + (i * EDGE + j) * stride + part);
                NAMED(weight_adjoint)(row, 1, half + i * TAPS, 1);
            }
            for (int j = 0; j < TAPS; j++) {
                NAMED(weight_adjoint)(half + j, TAPS, row, 1);
                for (int i = 0; i < TAPS; i++) store(w + (i * TAPS + j) * PANEL + part, row[i]);
            }
        }
}

/* The 16 x 16 kernels from plan panel j to gate panel q. */
INLINE fc_block NAMED(block_at)(const fc_op *op, const fc_plan *plan, int j, int q) {
    const int s = plan->source[j], gate = q / plan->gate_panels, panel = q % plan->gate_panels;
    const int64_t inputs = op->source[s].stride, offset = op->offset[gate * op->sources + s];
    const int64_t rows = op->channels - panel * PANEL, columns = op->source[s].channels - plan->panel[j] * PANEL;
    return (fc_block){
        .at = offset < 0 ? -1 : ((offset + panel * PANEL) * inputs + plan->panel[j] * PANEL) * TAPS * TAPS,
        .step = inputs * TAPS * TAPS,
        .rows = rows < PANEL ? rows : PANEL,
        .columns = columns < PANEL ? columns : PANEL,
    };
}

/* The weights from panels [j, j + size) of the plan to gate panel q into U, whose frequencies are `depth` apart. */
INLINE void NAMED(transform_weights)(const fc_op *op, const fc_plan *plan, int j, int size, int q, float *u,
                                     int64_t depth) {
    for (; size > 0; size--, j++, u += PANEL * PANEL) {
        const fc_block block = NAMED(block_at)(op, plan, j, q);
        if (block.at < 0) continue; /* U keeps old numbers here: multiply_panel leaves them out too */
        float kernels[PANEL * TAPS * TAPS * PANEL];
        if (block.rows < PANEL || block.columns < PANEL) memset(kernels, 0, sizeof kernels);
        transpose(op->source[plan->source[j]].weight + block.at, block.rows, block.step, block.columns * TAPS * TAPS,
                  kernels, PANEL, 0);
        NAMED(weights_in)(kernels, u, depth);
    }
}

/* The weights from panels [q, q + size) of the gates back to panel j of the plan into U: outputs become inputs. */
INLINE void NAMED(transform_weights_back)(const fc_op *op, const fc_plan *plan, int j, int q, int size, float *u,
                                          int64_t depth) {
    for (; size > 0; size--, q++, u += PANEL * PANEL) {
        const fc_block block = NAMED(block_at)(op, plan, j, q);
        if (block.at < 0) continue;
        const float *from = op->source[plan->source[j]].weight + block.at;
        float kernels[PANEL * TAPS * TAPS * PANEL];
        if (block.rows < PANEL || block.columns < PANEL) memset(kernels, 0, sizeof kernels);
        for (int64_t o = 0; o < block.rows; o++)
            transpose(from + o * block.step, block.columns, TAPS * TAPS, TAPS * TAPS,
                      kernels + o * TAPS * TAPS * PANEL, PANEL, 0);
        NAMED(weights_in)(kernels, u, depth);
    }
}

/* Frequencies [a, end) of panel `target` of the product over the panels [first, last) whose weights U holds: of M = V U
   over the plan's, or back, of dV = dM U^T over the gates'. Added to the panel if `first` is not 0. */
INLINE void NAMED(multiply_panel)(const fc_op *op, const fc_plan *plan, const fc_chunk *chunk, const int back,
                                  int target, int first, int last, int a, int end, const float *left, const float *u,
                                  int64_t depth, float *to) {
    const int64_t points = chunk->stride * PANEL;
    const float *lefts[last - first], *rights[last - first];
    int terms = 0;
    for (int n = first; n < last; n++) {
        if (NAMED(block_at)(op, plan, back ? target : n, back ? n : target).at < 0) continue;
        lefts[terms] = left + n * AREA * points;
        rights[terms++] = u + (n - first) * PANEL * PANEL;
    }
    for (; a < end; a++)
        inner(chunk->points, terms, lefts, a * points, rights, a * depth, to + (target * AREA + a) * points, first > 0);
}

/* Products of V with the weights into M (back: of dM with the weights into dV). The weights of a group of panels are
   transformed into U, a slice of them at a time, and used while they are in the cache. A thread takes groups of its own
   if there are enough for all; otherwise all threads share one group, and divide its frequencies. */
INLINE void NAMED(multiply)(const fc_op *op, const fc_plan *plan, const fc_chunk *chunk, const int back,
                            const float *left, float *u, float *to) {
    const int gates = op->gates * plan->gate_panels;
    const int total = back ? plan->count : gates, count = back ? gates : plan->count;
    const int shared = fc_shared(total, op->threads), group = back ? plan->group_back : plan->group;
    const int slice = fc_slice(count, chunk->points, shared);
    const int64_t depth = fc_odd(slice * PANEL) * PANEL, space = AREA * depth;
    if (shared) {
#pragma omp parallel num_threads(op->threads)
        {
#pragma omp for collapse(2) schedule(dynamic)
            for (int p = 0; p < total; p++)
                for (int n = 0; n < count; n++) {
                    float *block = u + p * space + n * PANEL * PANEL;
                    if (back)
                        NAMED(transform_weights_back)(op, plan, p, n, 1, block, depth);
                    else
                        NAMED(transform_weights)(op, plan, n, 1, p, block, depth);
                }
#pragma omp for collapse(2) schedule(dynamic)
            for (int p = 0; p < total; p++)
                for (int a = 0; a < AREA; a += EDGE)
                    NAMED(multiply_panel)(op, plan, chunk, back, p, 0, count, a, a + EDGE, left, u + p * space, depth,
                                          to);
        }
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(op->threads)
    for (int p0 = 0; p0 < total; p0 += group) {
        const int size = total - p0 < group ? total - p0 : group;
        float *weights = u + thread_number() * group * space;
        for (int n = 0; n < count; n += slice) {
            const int end = n + slice < count ? n + slice : count;
            for (int p = 0; p < size; p++)
                if (back)
                    NAMED(transform_weights_back)(op, plan, p0 + p, n, end - n, weights + p * space, depth);
                else
                    NAMED(transform_weights)(op, plan, n, end - n, p0 + p, weights + p * space, depth);
            /* frequencies outside, panels inside: a row of frequencies of `left` is read once for the group */
            for (int a = 0; a < AREA; a += EDGE)
                for (int p = 0; p < size; p++)
                    NAMED(multiply_panel)(op, plan, chunk, back, p0 + p, n, end, a, a + EDGE, left, weights + p * space,
                                          depth, to);
        }
    }
}

/* Adjoint of multiply in the weights: V^T dM, brought back and added to dweight. A task takes FC_DEEP x FC_WIDE blocks
   of 16 x 16, so that each read of V and dM serves several. */
static void NAMED(weights_back)(const fc_op *op, const fc_plan *plan, const fc_chunk *chunk, const float *m, float *u,
                                const float *v) {
    const int total = op->gates * plan->gate_panels;
    const int64_t points = chunk->stride * PANEL, size = AREA * PANEL * PANEL;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(op->threads) if (!op->serial_wgrad)
    for (int q0 = 0; q0 < total; q0 += FC_WIDE)
        for (int j0 = 0; j0 < plan->count; j0 += FC_DEEP) {
            const int js = plan->count - j0 < FC_DEEP ? plan->count - j0 : FC_DEEP;
            const int blocks = js * (total - q0 < FC_WIDE ? total - q0 : FC_WIDE);
            float *sums = u + thread_number() * FC_DEEP * FC_WIDE * size;
            fc_block block[FC_DEEP * FC_WIDE];
            for (int n = 0; n < blocks; n++) {
                block[n] = NAMED(block_at)(op, plan, j0 + n % js, q0 + n / js);
                if (!op->source[plan->source[j0 + n % js]].dweight) block[n].at = -1;
            }
            for (int a = 0; a < AREA; a++)
                for (int n = 0; n < blocks; n++)
                    if (block[n].at >= 0)
                        outer(chunk->points, v + ((j0 + n % js) * AREA + a) * points,
                              m + ((q0 + n / js) * AREA + a) * points, sums + n * size + a * PANEL * PANEL);
            for (int n = 0; n < blocks; n++) {
                if (block[n].at < 0) continue;
                float kernels[PANEL * TAPS * TAPS * PANEL];
                NAMED(weights_out)(sums + n * size, PANEL * PANEL, kernels);
                transpose(kernels, block[n].columns * TAPS * TAPS, PANEL, block[n].rows,
                          op->source[plan->source[j0 + n % js]].dweight + block[n].at, block[n].step, 1);
            }
        }
}

#include "gates.h"

static void NAMED(forward)(const fc_op *op, const fc_plan *plan, float *arena) {
    float *v = arena, *m = v + plan->v, *u = m + plan->m;
    for (fc_chunk chunk = fc_first(plan); chunk.first < plan->rows; chunk = fc_next(plan, &chunk)) {
        NAMED(maps_in)(op, plan, &chunk, v);
        NAMED(multiply)(op, plan, &chunk, 0, v, u, m);
        NAMED(gates_forward)(op, plan, &chunk, m);
    }
}

static void NAMED(backward)(const fc_op *op, const fc_plan *plan, float *arena) {
    float *v = arena, *m = v + plan->v, *u = m + plan->m;
    int maps = 0, weights = 0;
    for (int s = 0; s < op->sources; s++) {
        maps |= op->source[s].dx != NULL;
        weights |= op->source[s].dweight != NULL;
    }
    for (fc_chunk chunk = fc_first(plan); chunk.first < plan->rows; chunk = fc_next(plan, &chunk)) {
        NAMED(gates_backward)(op, plan, &chunk, m);
        NAMED(bias_back)(op, plan, &chunk, m);
        if (maps) {
            NAMED(multiply)(op, plan, &chunk, 1, m, u, v);
            NAMED(maps_out)(op, plan, &chunk, v);
        }
        /* V is computed again: kept from the forward pass, it would take AREA / 16 times the memory of the maps */
        if (weights) {
            NAMED(maps_in)(op, plan, &chunk, v);
            NAMED(weights_back)(op, plan, &chunk, m, u, v);
        }
    }
}
#undef EDGE
#undef AREA
#undef TILE
