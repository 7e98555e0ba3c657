"""Small extensions of Sphinx, each for one thing that these pages need."""
