"""Why do the networks work? Each paper's claim as numbers that any trained model can be asked for.

A study is a module of this package: a function that measures and gives a NamedTuple of arrays, a `summarise` that gives a
few numbers, and a `draw` that makes pictures of one or several runs.

    from framecast.analysis.saturation import measure_saturation

    saturation    are forget gates stuck?                           (MIM)
    gradients     how far back does an error reach?                 (PredRNN++)
    decoupling    do the two memories learn different things?       (PredRNN-V2)
    schedules     which frames is a training fed?                   (scheduled sampling)
    memory        what do memories and gates do, where and when?
    differences   does differencing make a series stationary?       (MIM)
    frequency     which detail is lost, and when?

All but schedules and frequency look at a model through `Cell.gates` and the outputs of its cells (trace), so a network
of one's own is studied like framecast's.
"""
