/* Kernels for one instruction set: compiled once for each, with WIDTH and ISA given by build.py. */
#include "act.h"
#include "gemm.h"
#include "op.h"
#include "plan.h"
#include "transforms.h"
#include "vec.h"
#ifdef _OPENMP
#include <omp.h>
static inline int thread_number(void) { return omp_get_thread_num(); }
#else
static inline int thread_number(void) { return 0; }
#endif

#define TAPS 3
#include "winograd.h"
#undef TAPS
#define TAPS 5
#include "winograd.h"
#undef TAPS

#define EXPORT_(name, isa) name##_##isa
#define EXPORT(name, isa) EXPORT_(name, isa)

void EXPORT(fc_forward, ISA)(const fc_op *op, const fc_plan *plan, float *arena) {
    op->taps == 3 ? forward_3(op, plan, arena) : forward_5(op, plan, arena);
}

void EXPORT(fc_backward, ISA)(const fc_op *op, const fc_plan *plan, float *arena) {
    op->taps == 3 ? backward_3(op, plan, arena) : backward_5(op, plan, arena);
}
