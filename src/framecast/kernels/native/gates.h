/* Last transform of the forward pass, from frequencies to activated gates, and its adjoint. Included by winograd.h,
   once per number of taps. */

/* 4 x 4 values of a tile from M. */
INLINE void NAMED(tile_in)(const float *m, int64_t stride, vec *y) {
    vec half[TILE * EDGE], column[EDGE];
    for (int j = 0; j < EDGE; j++) {
        for (int i = 0; i < EDGE; i++) column[i] = load(m + (i * EDGE + j) * stride);
        NAMED(output)(column, 1, half + j, EDGE);
    }
    for (int i = 0; i < TILE; i++) NAMED(output)(half + i * EDGE, 1, y + i * TILE, 1);
}

/* Adjoint of tile_in: 4 x 4 gradients of a tile into M. */
INLINE void NAMED(tile_out)(const vec *y, float *m, int64_t stride) {
    vec half[TILE * EDGE], column[EDGE];
    for (int i = 0; i < TILE; i++) NAMED(output_adjoint)(y + i * TILE, 1, half + i * EDGE, 1);
    for (int j = 0; j < EDGE; j++) {
        NAMED(output_adjoint)(half + j, EDGE, column, 1);
        for (int i = 0; i < EDGE; i++) store(m + (i * EDGE + j) * stride, column[i]);
    }
}

/* One tile of all gates, WIDTH channels from `c` on: sums, biases and addends, then the arithmetic of the gates,
   while the sums are still in the cache: they are never written as a map. */
INLINE void NAMED(tile_forward)(const fc_op *op, const int kind, const int gates, int64_t b, int64_t y0, int64_t x0,
                                int64_t c, const float *m, int64_t gate_step, int64_t stride) {
    vec sum[FC_GATES][TILE * TILE];
    const int64_t n = op->channels - c;
    for (int g = 0; g < gates; g++) {
        NAMED(tile_in)(m + g * gate_step, stride, sum[g]);
        if (op->bias[g]) {
            const vec bias = load_n(op->bias[g] + c, n);
            for (int p = 0; p < TILE * TILE; p++) sum[g][p] += bias;
        }
    }
    for (int i = 0; i < TILE && y0 + i < op->height; i++)
        for (int j = 0; j < TILE && x0 + j < op->width; j++) {
            const int64_t at = ((b * op->height + y0 + i) * op->width + x0 + j) * op->channels + c;
            vec gate[FC_GATES];
            for (int g = 0; g < gates; g++) {
                gate[g] = sum[g][i * TILE + j];
                if (op->addend[g]) gate[g] += load_n(op->addend[g] + at, n);
            }
            act(op, kind, at, n, gate);
        }
}

/* Adjoint of tile_forward. Pixels of the tile beyond the map have no gradient, but take part in the transform: as 0. */
INLINE void NAMED(tile_backward)(const fc_op *op, const int kind, const int gates, int64_t b, int64_t y0, int64_t x0,
                                 int64_t c, float *m, int64_t gate_step, int64_t stride) {
    vec sum[FC_GATES][TILE * TILE];
    const int64_t n = op->channels - c;
    for (int i = 0; i < TILE; i++)
        for (int j = 0; j < TILE; j++) {
            vec gate[FC_GATES] = {{0}};
            if (y0 + i < op->height && x0 + j < op->width) {
                const int64_t at = ((b * op->height + y0 + i) * op->width + x0 + j) * op->channels + c;
                act_back(op, kind, at, n, gate);
                for (int g = 0; g < gates; g++)
                    if (op->daddend[g]) store_n(op->daddend[g] + at, gate[g], n);
            }
            for (int g = 0; g < gates; g++) sum[g][i * TILE + j] = gate[g];
        }
    for (int g = 0; g < gates; g++) NAMED(tile_out)(sum[g], m + g * gate_step, stride);
}

/* All tiles of a chunk. `kind`, `gates` and `back` are constants in each call below: inlined, their branches vanish. */
INLINE void NAMED(all_tiles)(const fc_op *op, const fc_plan *plan, const fc_chunk *chunk, const int kind,
                             const int gates, const int back, float *m) {
    const int64_t rows = chunk->last - chunk->first, stride = chunk->stride * PANEL;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(op->threads)
    for (int q = 0; q < plan->gate_panels; q++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t t = 0; t < plan->across; t++) {
                int64_t b, y, x;
                NAMED(locate)(plan, chunk->first + r, t, &b, &y, &x);
                float *at = m + q * AREA * stride + (r * plan->across + t) * PANEL;
                for (int part = 0; part < PARTS; part++, at += WIDTH) {
                    const int64_t c = q * PANEL + part * WIDTH, step = plan->gate_panels * AREA * stride;
                    if (back && c < op->channels) NAMED(tile_backward)(op, kind, gates, b, y, x, c, at, step, stride);
                    if (!back && c < op->channels) NAMED(tile_forward)(op, kind, gates, b, y, x, c, at, step, stride);
                    /* products take whole panels: scratch that is not a number would spoil them, even times 0 */
                    if (back && c >= op->channels)
                        for (int a = 0; a < AREA; a++) store(at + a * stride, (vec){0});
                }
            }
}

static void NAMED(gates_forward)(const fc_op *op, const fc_plan *plan, const fc_chunk *chunk, float *m) {
    switch (op->kind) {
        case FC_SUM: NAMED(all_tiles)(op, plan, chunk, FC_SUM, 1, 0, m); break;
        case FC_MEMORY: NAMED(all_tiles)(op, plan, chunk, FC_MEMORY, 3, 0, m); break;
        case FC_OUTPUT: NAMED(all_tiles)(op, plan, chunk, FC_OUTPUT, 1, 0, m); break;
        case FC_OUTPUT_TANH: NAMED(all_tiles)(op, plan, chunk, FC_OUTPUT_TANH, 1, 0, m); break;
        case FC_INCREMENT: NAMED(all_tiles)(op, plan, chunk, FC_INCREMENT, 2, 0, m); break;
        case FC_HIGHWAY: NAMED(all_tiles)(op, plan, chunk, FC_HIGHWAY, 2, 0, m); break;
    }
}

static void NAMED(gates_backward)(const fc_op *op, const fc_plan *plan, const fc_chunk *chunk, float *m) {
    switch (op->kind) {
        case FC_SUM: NAMED(all_tiles)(op, plan, chunk, FC_SUM, 1, 1, m); break;
        case FC_MEMORY: NAMED(all_tiles)(op, plan, chunk, FC_MEMORY, 3, 1, m); break;
        case FC_OUTPUT: NAMED(all_tiles)(op, plan, chunk, FC_OUTPUT, 1, 1, m); break;
        case FC_OUTPUT_TANH: NAMED(all_tiles)(op, plan, chunk, FC_OUTPUT_TANH, 1, 1, m); break;
        case FC_INCREMENT: NAMED(all_tiles)(op, plan, chunk, FC_INCREMENT, 2, 1, m); break;
        case FC_HIGHWAY: NAMED(all_tiles)(op, plan, chunk, FC_HIGHWAY, 2, 1, m); break;
    }
}

/* Gradient of a bias: the frequency of the point 1 in both directions is, but for its scale, the sum over a tile. */
static void NAMED(bias_back)(const fc_op *op, const fc_plan *plan, const fc_chunk *chunk, const float *m) {
    const int ones = JOIN(FC_ONES, TAPS) * (EDGE + 1);
    const float scale = 1.0f / (JOIN(FC_ONES_SCALE, TAPS) * JOIN(FC_ONES_SCALE, TAPS));
    for (int g = 0; g < op->gates; g++) {
        if (!op->dbias[g]) continue;
        for (int64_t q = 0; q < plan->gate_panels; q++) {
            const float *from = m + ((g * plan->gate_panels + q) * AREA + ones) * chunk->stride * PANEL;
            for (int64_t c = 0; c < PANEL && q * PANEL + c < op->channels; c++) {
                double sum = 0;
                for (int64_t p = 0; p < chunk->points; p++) sum += from[p * PANEL + c];
                op->dbias[g][q * PANEL + c] += (float)sum * scale;
            }
        }
    }
}
