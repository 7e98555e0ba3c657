/* Division of the work: channels into panels of 16, tiles of 4 x 4 pixels into chunks. */
#ifndef FC_PLAN_H
#define FC_PLAN_H
#include "op.h"

enum {
    FC_TILE = 4,     /* outputs of a tile along an axis */
    FC_POINTS = 192, /* tiles of a chunk, before it is rounded to whole rows of tiles */
    FC_DEEP = 4,     /* panels of inputs in a task of the weight gradient */
    FC_WIDE = 2,     /* panels of outputs in such a task */
    FC_FEW = 32,     /* tiles of a chunk, up to which weights are transformed slice by slice */
    FC_SLICE = 4     /* panels of a slice */
};
enum { FC_WEIGHTS = 1 << 19 }; /* floats of transformed weights of a thread, 2 MiB: they should stay in its cache */

typedef struct {
    int count, gate_panels, group, group_back; /* panels of all sources; of a gate; of a group of weights */
    int32_t *source, *panel;                   /* of each panel: its source, and its place in the source */
    int64_t down, across, rows, chunk_rows;    /* tiles of an image; rows of tiles of all images, of a chunk */
    int64_t v, m, u;                           /* floats of scratch: transformed maps, products, weights */
} fc_plan;

typedef struct {
    int64_t first, last, points, stride; /* rows of tiles; tiles; stride of a frequency, in tiles */
} fc_chunk;

typedef struct {
    int64_t at, step, rows, columns; /* first weight, -1 for none; from output to output; outputs and inputs */
} fc_block;

static inline int64_t fc_panels(int64_t channels) { return (channels + 15) / 16; }

/* An odd stride in units of 64 bytes: equal places of neighbouring frequencies then fall into different cache sets. */
static inline int64_t fc_odd(int64_t n) { return n | 1; }

static inline fc_chunk fc_chunk_from(const fc_plan *plan, int64_t first) {
    const int64_t last = first + plan->chunk_rows < plan->rows ? first + plan->chunk_rows : plan->rows;
    const int64_t points = (last - first) * plan->across;
    return (fc_chunk){first, last, points, fc_odd(points)};
}

static inline fc_chunk fc_first(const fc_plan *plan) { return fc_chunk_from(plan, 0); }
static inline fc_chunk fc_next(const fc_plan *plan, const fc_chunk *chunk) { return fc_chunk_from(plan, chunk->last); }

/* Whether panels are so few that all threads must work on each. */
static inline int fc_shared(int64_t panels, int threads) { return panels < 2 * threads && threads > 1; }

/* Panels whose weights are transformed before they are used: where tiles are few, the sums fit into the cache and can be
   added to, so that weights need never leave it. */
static inline int fc_slice(int count, int64_t points, int shared) {
    return !shared && points <= FC_FEW && count > FC_SLICE ? FC_SLICE : count;
}

fc_plan fc_plan_of(const fc_op *op, int32_t *space);
#endif
