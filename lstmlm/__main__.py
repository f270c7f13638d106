"""`python -m lstmlm`: the command line without an installed script."""

from lstmlm.cli import main

if __name__ == "__main__":
    main()
