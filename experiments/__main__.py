"""The command line; it first sees that the packages it needs are those beside it."""

import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parents[1]


def check_packages() -> None:
    """Exit with one sentence where a folder or file on the way hides a package of the project."""
    for name in ("minigrad", "optim", "models"):
        spec = find_spec(name)
        found = next(iter(spec.submodule_search_locations or [spec.origin]), None) if spec else None
        if found is not None and Path(found).resolve() != HERE.resolve() / name:
            sys.exit(
                f"experiments: {found} hides the package {name} of this project; rename it, or run "
                "this in another directory."
            )


if __name__ == "__main__":
    check_packages()
    from experiments.cli import main

    sys.exit(main())
