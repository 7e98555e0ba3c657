"""Pictures and films: upright, at the depth and with the frames that a file really has."""
