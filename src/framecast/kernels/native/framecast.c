/* Functions that Python calls: choice of the instruction set, scratch memory, and the two passes. */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "op.h"
#include "plan.h"

#define DECLARE(isa)                                                      \
    void fc_forward_##isa(const fc_op *, const fc_plan *, float *);       \
    void fc_backward_##isa(const fc_op *, const fc_plan *, float *);
DECLARE(portable)
#ifdef FC_AVX2
DECLARE(avx2)
#else
#define fc_forward_avx2 NULL
#define fc_backward_avx2 NULL
#endif
#ifdef FC_AVX512
DECLARE(avx512)
#else
#define fc_forward_avx512 NULL
#define fc_backward_avx512 NULL
#endif

enum { PORTABLE, AVX2, AVX512 };
typedef void (*fc_pass)(const fc_op *, const fc_plan *, float *);

static const fc_pass forwards[] = {fc_forward_portable, fc_forward_avx2, fc_forward_avx512};
static const fc_pass backwards[] = {fc_backward_portable, fc_backward_avx2, fc_backward_avx512};

static int runs_here(int isa) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (isa == AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
    if (isa == AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return isa == PORTABLE;
}

/* The best instruction set of this machine that was compiled: 0 portable, 1 AVX2 with FMA, 2 AVX-512. */
int fc_best(void) {
    for (int isa = AVX512; isa > PORTABLE; isa--)
        if (forwards[isa] && runs_here(isa)) return isa;
    return PORTABLE;
}

static int chosen = -1;

/* Choose an instruction set, at most the best; returns the one in use. */
int fc_use(int isa) {
    const int best = fc_best();
    chosen = isa < 0 || isa > best || !forwards[isa] ? best : isa;
    return chosen;
}

/* The instruction set in use. */
int fc_used(void) { return chosen < 0 ? fc_use(-1) : chosen; }

/* Raised, with VERSION of native_library.py, whenever fc_op changes, so that a stale library is refused. */
int fc_version(void) { return 3; }

/* Whether the kernels use more than one thread. */
int fc_threaded(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

/* Panels whose weights are transformed together, `floats` each: few enough for the cache and for all threads to work. */
static int64_t group_of(int64_t panels, int64_t floats, int threads, int sliced) {
    if (fc_shared(panels, threads)) return panels;
    if (sliced) return 1;
    int64_t group = FC_WEIGHTS / floats;
    if (group > panels / (2 * threads)) group = panels / (2 * threads);
    return group > 1 ? group : 1;
}

static int64_t largest(int64_t a, int64_t b) { return a > b ? a : b; }

fc_plan fc_plan_of(const fc_op *op, int32_t *space) {
    fc_plan plan = {0};
    const int64_t edge = op->taps + 3, area = edge * edge;
    plan.gate_panels = (int)fc_panels(op->channels);
    plan.down = (op->height + FC_TILE - 1) / FC_TILE;
    plan.across = (op->width + FC_TILE - 1) / FC_TILE;
    plan.rows = op->batch * plan.down;
    /* Chunks are whole rows of tiles, and about equally many. */
    int64_t chunks = (plan.rows * plan.across + FC_POINTS - 1) / FC_POINTS;
    if (chunks > plan.rows) chunks = plan.rows;
    plan.chunk_rows = (plan.rows + chunks - 1) / chunks;
    for (int s = 0; s < op->sources; s++) plan.count += (int)fc_panels(op->source[s].channels);
    plan.source = space;
    plan.panel = space + plan.count;
    for (int s = 0, j = 0; s < op->sources; s++)
        for (int p = 0; p < fc_panels(op->source[s].channels); p++, j++) {
            plan.source[j] = s;
            plan.panel[j] = p;
        }
    const int64_t total = op->gates * plan.gate_panels, stride = fc_odd(plan.chunk_rows * plan.across) * 16;
    const int64_t points = plan.chunk_rows * plan.across;
    const int slice = fc_slice(plan.count, points, fc_shared(total, op->threads));
    const int slice_back = fc_slice((int)total, points, fc_shared(plan.count, op->threads));
    const int64_t depth = area * fc_odd(slice * 16) * 16, depth_back = area * fc_odd(slice_back * 16) * 16;
    plan.group = (int)group_of(total, depth, op->threads, slice < plan.count);
    plan.group_back = (int)group_of(plan.count, depth_back, op->threads, slice_back < total);
    plan.v = plan.count * area * stride;
    plan.m = total * area * stride;
    plan.u = plan.group * depth * (fc_shared(total, op->threads) ? 1 : op->threads);
    plan.u = largest(plan.u, plan.group_back * depth_back * (fc_shared(plan.count, op->threads) ? 1 : op->threads));
    plan.u = largest(plan.u, op->threads * FC_DEEP * FC_WIDE * area * 256); /* blocks of 16 x 16 of weights_back */
    return plan;
}

/* Scratch of this thread; grows, is used again, and is freed when the thread ends. */
static _Thread_local float *arena;
static _Thread_local int64_t arena_floats;
static pthread_key_t ending;
static pthread_once_t begun = PTHREAD_ONCE_INIT;

static void begin(void) { pthread_key_create(&ending, free); }

static float *scratch(int64_t floats) {
    if (floats > arena_floats) {
        pthread_once(&begun, begin);
        free(arena); /* before the larger one is taken: its content is not needed, and both may not fit */
        arena = NULL;
        arena_floats = 0;
        const size_t page = 2 << 20, bytes = (floats * sizeof(float) + page - 1) / page * page;
        arena = aligned_alloc(page, bytes);
        if (arena) arena_floats = floats;
        pthread_setspecific(ending, arena);
#ifdef MADV_HUGEPAGE
        if (arena) madvise(arena, bytes, MADV_HUGEPAGE); /* the panels lie pages apart */
#endif
    }
    return arena;
}

/* Bytes of scratch that this thread holds. */
int64_t fc_held(void) { return arena_floats * 4; }

static int run(const fc_op *op, const fc_pass *passes) {
    if (chosen < 0) fc_use(-1);
    if (op->batch < 1 || op->height < 1 || op->width < 1) return 0;
    int64_t panels = 0;
    for (int s = 0; s < op->sources; s++) panels += fc_panels(op->source[s].channels);
    int32_t space[2 * panels];
    const fc_plan plan = fc_plan_of(op, space);
    float *memory = scratch(plan.v + plan.m + plan.u);
    if (!memory) return 1;
    passes[chosen](op, &plan, memory);
    return 0;
}

/* Both return 0, or 1 if there is not enough memory. */
int fc_forward(const fc_op *op) { return run(op, forwards); }
int fc_backward(const fc_op *op) { return run(op, backwards); }
