"""Recipes: strict YAML to frozen configurations of a training."""
