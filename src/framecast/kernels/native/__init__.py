"""Sources of the native library, and how it is built."""
