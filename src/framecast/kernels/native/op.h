/* One gate operation: sums of convolutions, then the arithmetic of the gates. The only types that cross to Python.

   Maps are float32, (B, H, W, channels) with the channels contiguous. A source is a map and a weight that convolves it;
   `offset[g * sources + s]` says at which output channel of that weight gate g begins, -1 for a gate that the source
   does not enter. Weights are torch's: (outputs, channels, taps, taps). */
#ifndef FC_OP_H
#define FC_OP_H
#include <stdint.h>

enum { FC_SUM, FC_MEMORY, FC_OUTPUT, FC_OUTPUT_TANH, FC_INCREMENT, FC_HIGHWAY };
enum { FC_GATES = 3 };

typedef struct {
    const float *x;
    float *dx; /* is added to; NULL if not wanted */
    const float *weight;
    float *dweight; /* is added to; NULL if not wanted */
    int64_t channels, stride; /* of the map; inputs of the whole weight, of which the map may be some */
} fc_source;

typedef struct {
    int32_t kind, taps, gates, sources, threads;
    int32_t serial_wgrad; /* whether one thread adds up the weight gradients: sources or gates share rows of one */
    float forget_bias;
    int64_t batch, height, width, channels; /* channels of one gate */
    const fc_source *source;
    const int32_t *offset;
    const float *bias[FC_GATES];   /* (channels), or NULL */
    const float *addend[FC_GATES]; /* map added to the gate's sum, or NULL */
    const float *memory;           /* that the gates act on; NULL for FC_SUM, FC_INCREMENT */
    float *out, *delta;            /* delta of FC_MEMORY only */
    float *saved[FC_GATES];        /* activated gates; NULL where no backward pass follows */
    const float *dout, *ddelta;    /* NULL for zeros */
    float *dmemory;                /* is written */
    float *dbias[FC_GATES];        /* is added to; NULL if not wanted */
    float *daddend[FC_GATES];      /* is written; NULL if not wanted */
} fc_op;

#endif
