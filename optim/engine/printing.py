"""The entries of a program as statements of Python, C++ or JavaScript.

The three share the text of an expression. Every name of a kernel gets a prefix, so that it may be
a keyword or a function of any of the languages.
"""

import re
from collections.abc import Iterable
from itertools import count
from math import isfinite

from optim.engine.functions import text
from optim.engine.program import Entry, Value

Names = dict[Value, str]


def spelled(name: str) -> str:
    """A name, or a place such as betas[0], as an identifier of any language."""
    stem, part, *_ = *re.split(r"\[(\d+)\]$", name), ""
    letters = (c if c == "_" or (c.isascii() and c.isalnum()) else f"_{ord(c):x}_" for c in stem)
    return f"x{part}_{''.join(letters)}"


def literal(x: float) -> str:
    """A number as each of the languages reads it, where inf and nan are defined."""
    if isfinite(x):
        return repr(x)
    return "nan" if x != x else "inf" if x > 0 else "(-inf)"


def identifiers(values: Iterable[Value]) -> Names:
    """A spelling for every Value: of its name, or t1, t2, ... in the order in which they come."""
    found: Names = {}
    results = count(1)
    for value in values:
        if value not in found:
            found[value] = spelled(value.name) if value.name else f"t{next(results)}"
    return found


def statements(
    entries: Iterable[Entry], names: Names, rounded: str = "{}"
) -> Iterable[tuple[Value, str]]:
    """What each entry gives, and its expression; `rounded` is how a literal reads."""
    for entry in entries:
        operands = [
            names[x] if isinstance(x, Value) else rounded.format(literal(x)) for x in entry.inputs
        ]
        yield entry.out, text(entry.function, operands)
