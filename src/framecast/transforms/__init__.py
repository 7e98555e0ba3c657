"""Transforms of frames, invertible or pure: normalization, patches, missing pixels, channels."""
