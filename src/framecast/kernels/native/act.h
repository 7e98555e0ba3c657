/* Arithmetic of the gates at one pixel: WIDTH channels at once, of which `n` exist. */
#ifndef FC_ACT_H
#define FC_ACT_H
#include "op.h"
#include "vec.h"

INLINE void keep(const fc_op *op, int g, int64_t at, int64_t n, vec value) {
    if (op->saved[g]) store_n(op->saved[g] + at, value, n);
}

/* Gates after their activation are kept for the backward pass, not the sums before: their derivatives follow from them
   by a (1 - a) and 1 - a^2, without another exponential. */
INLINE void act(const fc_op *op, const int kind, int64_t at, int64_t n, vec *gate) {
    const vec memory = op->memory ? load_n(op->memory + at, n) : (vec){0};
    vec out = gate[0];
    if (kind == FC_MEMORY || kind == FC_INCREMENT) {
        const vec i = sigmoid(gate[0]), g = tanh_(gate[kind == FC_MEMORY ? 2 : 1]);
        out = i * g;
        keep(op, 0, at, n, i);
        keep(op, 1, at, n, g);
        if (kind == FC_MEMORY) {
            const vec f = sigmoid(gate[1] + op->forget_bias);
            keep(op, 2, at, n, f);
            if (op->delta) store_n(op->delta + at, out, n);
            out += f * memory;
        }
    } else if (kind == FC_OUTPUT || kind == FC_OUTPUT_TANH) {
        const vec o = kind == FC_OUTPUT ? sigmoid(gate[0]) : tanh_(gate[0]);
        keep(op, 0, at, n, o);
        out = o * tanh_(memory);
    } else if (kind == FC_HIGHWAY) {
        const vec p = tanh_(gate[0]), u = sigmoid(gate[1]);
        keep(op, 0, at, n, p);
        keep(op, 1, at, n, u);
        out = memory + u * (p - memory);
    }
    store_n(op->out + at, out, n);
}

/* Gradients of the gates before their activation, from the saved ones after it; that of the memory is written. */
INLINE void act_back(const fc_op *op, const int kind, int64_t at, int64_t n, vec *gate) {
    const vec d = op->dout ? load_n(op->dout + at, n) : (vec){0};
    if (kind == FC_SUM) {
        gate[0] = d;
        return;
    }
    const vec memory = op->memory ? load_n(op->memory + at, n) : (vec){0}, a = load_n(op->saved[0] + at, n);
    /* the output gate saves one activation only: tanh of the memory is computed again */
    const vec b = op->saved[1] ? load_n(op->saved[1] + at, n) : tanh_(memory);
    vec dmemory = {0};
    if (kind == FC_MEMORY || kind == FC_INCREMENT) {
        const vec dsum = op->ddelta ? d + load_n(op->ddelta + at, n) : d;
        gate[0] = dsum * b * a * (1.0f - a);
        gate[kind == FC_MEMORY ? 2 : 1] = dsum * a * (1.0f - b * b);
        if (kind == FC_MEMORY) {
            const vec f = load_n(op->saved[2] + at, n);
            gate[1] = d * memory * f * (1.0f - f);
            dmemory = d * f;
        }
    } else if (kind == FC_OUTPUT || kind == FC_OUTPUT_TANH) {
        gate[0] = d * b * (kind == FC_OUTPUT ? a * (1.0f - a) : 1.0f - a * a);
        dmemory = d * a * (1.0f - b * b);
    } else {
        gate[0] = d * b * (1.0f - a * a);
        gate[1] = d * (a - memory) * b * (1.0f - b);
        dmemory = d * (1.0f - b);
    }
    if (op->dmemory) store_n(op->dmemory + at, dmemory, n);
}
#endif
