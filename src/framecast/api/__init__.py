"""Functions that `import framecast` offers: open_frames, train, evaluate, compare, inspect; and runs as objects."""
