"""`python -m framecast`, for torchrun and where no script is installed."""

from framecast.cli import main

main()
