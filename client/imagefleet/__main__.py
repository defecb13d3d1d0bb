"""`python -m imagefleet` is the `imagefleet` command."""

from imagefleet.cli import main

if __name__ == "__main__":
    main(prog_name="imagefleet")
