"""Run folders: lock, event log, checkpoints, and the record of a run."""
