"""The settings of an experiment, and how changes to them are checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import UnionType
from typing import Any, Self, get_args, get_origin

from minigrad.errors import nearest

LARGEST = 10**12  # no run could take more steps, or hold more of anything
SIZES = 1e-100, 1e100  # of numbers whose squares neither vanish nor overflow


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of an experiment's settings: what `--set KEY=VALUE` may change.

    A tuple of any length is of what is compared, so each is there once; one of a fixed length is a
    point or a pair.
    """

    quick: bool = field(default=False, repr=False)  # whether they began as those of --quick
    # the texts of the files that they name, by which a run needs none of these
    files: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for f in fields(self):
            value, least = getattr(self, f.name), 0 if f.name == "seed" else 1
            if type(value) is int and not least <= value <= LARGEST:
                size = "small" if value < least else "large"
                raise ValueError(f"{f.name}={value} is too {size}; give {least} to {LARGEST:,}.")
            several = value if isinstance(value, tuple) else (value,)
            written = [f"{one:g}" if type(one) is float else f"{one}" for one in several]
            for one, word in zip(several, written, strict=True):
                if type(one) is float and one and not SIZES[0] <= abs(one) <= SIZES[1]:
                    sizes = " to ".join(f"{size:g}" for size in SIZES)
                    raise ValueError(f"{f.name}={value}: give numbers of a size of {sizes}, or 0.")
                if get_args(f.type)[-1:] == (...,) and written.count(word) > 1:
                    raise ValueError(f"{f.name}={value}: {word} is there twice; give each once.")

    def check(self, within: str, *names: str, why: str = "") -> None:
        """Raise ValueError for one of these settings, a number or several, that is not within a
        range as mathematics writes it, "(0, 1]"."""
        low, high = map(float, within[1:-1].split(","))
        for name in names:
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                ends = (within[0] == "[" and one == low) or (within[-1] == "]" and one == high)
                if not (low < one < high or ends):
                    because = f", {why}" if why else ""
                    raise ValueError(f"{name}={value} is outside {within}; choose inside{because}.")

    @property
    def may_download(self) -> bool:
        """Whether what these settings need may have to be downloaded first."""
        return False

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy with other values; raises ValueError for unknown names and for wrong types."""
        known = {f.name: f for f in fields(self)}
        values = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"there is no setting {name!r}; {nearest(name, known)}")
            kind, usual = known[name].type, getattr(self, name)
            try:
                values[name] = _as(kind, value)
            except (TypeError, OverflowError):
                expected = kind.__name__ if isinstance(kind, type) else kind
                raise ValueError(
                    f"{name}={value!r:.60}: give {expected}, like the default, {usual!r}."
                ) from None
        return replace(self, **values)


def _as(kind: Any, value: Any) -> Any:
    """`value` as an annotation says; raises TypeError where that would lose something."""
    if isinstance(kind, UnionType):  # of a type and None
        return None if value is None else _as(get_args(kind)[0], value)
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):  # as the command line has "adam,amsgrad" and 3
            value = parts(value) if isinstance(value, str) else (value,)
        inner, *others = get_args(kind)
        if others == [...] and value:
            return tuple(_as(inner, item) for item in value)
        if len(value) == 1 + len(others):
            return tuple(map(_as, get_args(kind), value))
    if get_origin(kind) is dict and type(value) is dict:
        key, inner = get_args(kind)
        return {_as(key, name): _as(inner, item) for name, item in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if kind is int and type(value) is float and value.is_integer():  # 1e6
        return int(value)
    if type(value) is not kind:
        raise TypeError
    return value


def parts(text: str) -> tuple[str, ...]:
    """What is between the commas of a text, but for commas in brackets."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return tuple(part.strip() for part in found)
