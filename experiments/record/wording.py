"""Words and numbers in captions and on figures."""

from collections.abc import Iterable

BAR = "{desc}{percentage:3.0f}% {bar} {elapsed}, {remaining} left{postfix}"  # of progress, in tqdm


def listed(words: Iterable[str]) -> str:
    """The words with commas and an "and"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def between(values: Iterable[float], form: str) -> str:
    """The least and the largest, each in that form, or one where they read the same."""
    values = list(values)
    return " to ".join(dict.fromkeys(f"{one:{form}}" for one in (min(values), max(values))))


def counted(number: int, thing: str) -> str:
    """A number of things."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def number(value: float) -> str:
    """A number in mathtext: powers of ten as such, other large whole ones in thousands."""
    digits = f"{value:.0f}"
    if value == int(value) and len(digits) > 4:
        zeros = len(digits) - 1
        return f"10^{zeros}" if value == 10.0**zeros else f"{value:,.0f}".replace(",", "{,}")
    return f"{value:g}"
