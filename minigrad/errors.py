"""What error messages share."""

from collections.abc import Iterable
from pathlib import Path

PROJECT = "minigrad-optim"


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the closest known one, or all of them."""
    from difflib import get_close_matches  # here: it would slow `import minigrad` by a fifth

    known = list(known)
    match = get_close_matches(str(name).lower(), known, n=1)
    return f"did you mean {match[0]!r}?" if match else f"known are {', '.join(known)}."


def one_line(error: BaseException) -> str:
    """An error of a library in one line, with its type, since some have no other text."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def install(extra: str) -> str:
    """The command that installs an extra: from the clone that this is, or else by name."""
    from shlex import quote

    root = Path(__file__).parents[1]
    described = root / "pyproject.toml"
    if described.exists() and f'name = "{PROJECT}"' in described.read_text("utf-8"):
        return f"pip install -e {quote(f'{root}[{extra}]')}"
    return f"pip install '{PROJECT}[{extra}]'"
