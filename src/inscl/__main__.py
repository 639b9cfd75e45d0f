"""``python -m inscl``, as launchers of several processes start it."""

from inscl.cli import main

if __name__ == "__main__":
    main()
