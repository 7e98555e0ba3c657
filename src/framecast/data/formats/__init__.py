"""Readers of file formats: the path of one file to its header and its frames."""
