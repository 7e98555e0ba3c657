"""Published networks: names of their weights, and which network a checkpoint holds."""
