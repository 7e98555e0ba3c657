"""Benchmark of the networks: time and peak memory, measured so that the numbers can be believed.

settings          sizes that are measured: frames, networks, batches
workload          batch and network that all implementations compute
implementations   framecast with its switches, or an opponent's module
equivalence       check that all implementations compute the same numbers; nothing is timed before
timing            seconds, a calibration before and after each sample, the machine's peak throughput
ratios            order, dropping rule and statistics of pairs; pure functions
peak_memory       peak memory, in a process of its own (child)
scaling           time and memory against batch, map, frames and layers
results           the JSON file, in which parts are collected that were measured one by one
tables, figures   results as text and pictures, with the targets
markdown_page     tables of docs/performance.md
run               all measurements, within a time budget
"""

import framecast.plotting  # noqa: F401, before any module here imports matplotlib
