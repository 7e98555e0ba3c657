"""One thread for each of the two test processes: more would only stand in each other's way, and change the last bits."""

import torch

torch.set_num_threads(1)
