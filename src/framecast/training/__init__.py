"""Training of networks: start, resume, the loop over iterations."""
