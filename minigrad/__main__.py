"""python -m minigrad doctor: what this machine has for the framework, and what is missing."""

import argparse
import sys

from minigrad.console import lasting_output
from minigrad.doctor import DRIVERS, Row, report, report_driver


@lasting_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 if what was asked about works, else 1."""
    parser = argparse.ArgumentParser("python -m minigrad", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    doctor = commands.add_parser("doctor", help="report on NumPy, CuPy, the driver and the device")
    asked = doctor.add_mutually_exclusive_group()
    asked.add_argument("--backend", help="that must work, beside numpy, for the exit status 0")
    help_ = "before it is installed: only whether there is a driver for it"
    asked.add_argument("--extra", choices=DRIVERS, help=help_)
    options = parser.parse_args(arguments)
    if options.extra:
        return report_driver(options.extra)
    try:
        return report([Row("data", "see `python -m experiments doctor`")], options.backend)
    except ValueError as error:
        parser.error(f"argument --backend: {error}")


if __name__ == "__main__":
    sys.exit(main())
