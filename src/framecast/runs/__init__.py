"""Run folders: lock, event log, checkpoints, and their record."""
