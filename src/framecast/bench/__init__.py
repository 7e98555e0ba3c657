"""How fast the networks are, and how much memory they take, measured so that the numbers can be believed.

settings     what is measured: frames, networks, batches
contender    who computes it: framecast with its switches, or an opponent's module
gate         whether all contenders compute the same thing; nothing is timed before
clock        seconds, a calibration beside each sample, the roof
ratios       order, dropping rule and statistics of pairs; pure functions
rounds       the interleaved measurement of one workload
memory       peak memory, in a process of its own (child)
growth       time and memory against batch, map, frames and layers
results      the JSON file; parts measured one by one come together in it
tables, figures, page, targets      what is shown
run          all of it, within a time budget
"""
