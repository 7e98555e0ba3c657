"""Zarr stores: what is looked at before a chunk is unpacked, and arrays without named axes."""
