"""python -m minigrad doctor: what this machine has for the framework, and what is missing."""

import argparse
import sys

from minigrad.doctor import Row, report


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 if the NumPy side works, else 1."""
    parser = argparse.ArgumentParser("python -m minigrad", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("doctor", help="report on NumPy, CuPy, the driver and the device")
    parser.parse_args(arguments)
    return report([Row("data", "see `python -m experiments doctor`")])


if __name__ == "__main__":
    sys.exit(main())
