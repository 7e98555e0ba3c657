"""`python -m framecast`, for torchrun and where no script is installed."""

from framecast.cli import main

if __name__ == "__main__":  # importing it, as a documentation builder does, must not run it
    main()
