"""Entry of `python -m serving.cli`, which the launcher runs."""

from serving.cli.app import main

if __name__ == "__main__":
    main()
