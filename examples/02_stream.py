"""Follow a stream frame by frame, and look ahead from the middle of it.

python examples/02_stream.py [RUN]        a run that 01_forecast.py made
"""

import sys

import torch

import framecast

forecaster = framecast.load(sys.argv[1] if len(sys.argv) > 1 else "runs/example-1")
digits = framecast.open_data(framecast.DataConfig(), context=10, horizon=10, seed=0)
stream = torch.from_numpy(digits.window("test", 0, 1).frames)

state = None
for minute, frame in enumerate(stream[:12]):
    if minute == 9:
        ahead = forecaster.branch(frame[None], state, horizon=5)  # the state is a value: the stream goes on from it
    following, state = forecaster.step(frame[None], state)
    print(f"frame {minute}: error of the next frame {(following[0] - stream[minute + 1]).abs().mean():.1f} grey levels")
print("five frames ahead of frame 9:", tuple(ahead.shape))
