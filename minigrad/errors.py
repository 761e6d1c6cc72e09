"""What error messages share."""

from collections.abc import Iterable


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the closest known one, or all of them."""
    from difflib import get_close_matches  # here: it would slow `import minigrad` by a fifth

    known = list(known)
    match = get_close_matches(str(name).lower(), known, n=1)
    return f"did you mean {match[0]!r}?" if match else f"known are {', '.join(known)}."
