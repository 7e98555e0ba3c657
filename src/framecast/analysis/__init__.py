"""Why do the networks work? Each paper's claim as numbers that any trained model can be asked for.

A study is a module of this package: a function of the same name that gives a NamedTuple of arrays, a `summary` of a few
numbers, and a `draw` that makes pictures of one or several runs.

    from framecast.analysis.saturation import saturation

    saturation    are forget gates stuck?                           (MIM)
    gradients     how far back does an error reach?                 (PredRNN++)
    decoupling    do the two memories learn different things?       (PredRNN-V2)
    schedules     which frames is a training fed?                   (scheduled sampling)
    memory        what do memories and gates do, where and when?
    differences   does differencing make a series stationary?       (MIM)
    frequency     which detail is lost, and when?

They look at a model through `Cell.gates` and the values that leave a cell, so a network of one's own is studied like
the others.
"""
