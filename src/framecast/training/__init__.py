"""Training: start, resume, the loop over iterations."""
