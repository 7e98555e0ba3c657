"""`python -m framecast`, for torchrun and where no script is installed."""

import sys

if __name__ == "__main__":  # importing it, as a documentation builder does, must not run it
    if not sys.flags.safe_path:
        # `python -m` searches the current folder before all others: a file of a stranger there, named as a library that
        # is imported from now on, would be run.
        del sys.path[0]
    from framecast.cli import main

    main()
