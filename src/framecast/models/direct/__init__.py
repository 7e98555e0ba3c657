"""Direct networks, without recurrence: a block of frames in, the next block out."""
