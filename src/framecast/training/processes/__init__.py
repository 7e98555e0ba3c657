"""Several processes of one training: what they decide together, and the sum of their gradients."""
