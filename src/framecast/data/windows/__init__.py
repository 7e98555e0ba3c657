"""Windows: sequences to splits, crops and batches."""
