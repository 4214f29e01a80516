"""``python -m mmm_xgen``: the command line."""

from mmm_xgen.cli import main

if __name__ == "__main__":
    main()
