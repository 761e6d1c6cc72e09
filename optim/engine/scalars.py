"""A step's scalars, from numbers in float64 to what kernels take."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import current, xp


class Scalars(dict[str, Any]):
    """Scalars by name, in the dtype of the parameters: on NumPy 0-d arrays, changed in place.

    Those of which every coordinate has its own are arrays, and their names are in `spread`.
    """

    def __init__(self, params: Parameters, arrays: Iterable[str]):
        self._arrays = {"p", "g", *arrays}
        self.spread: set[str] = set()
        self._given: dict[str, Any] = {}  # the numbers that the scalars were made of
        self._scalar, self._dtype, self._size = current().scalar, params.dtype, params.size

    def set(self, given: dict[str, Any], t: int) -> None:
        """Take those of step t; raises ValueError for NaN, and TypeError for an array's name."""
        for name, value in given.items():
            if name in self._arrays:
                raise TypeError(
                    f"{name} is a scalar of the step, and an array of the passes; write scalars "
                    "after a *, as in kernel(p, g, m, *, lr), and give state a name of its own."
                )
            if isinstance(value, float):  # NumPy's too
                if value == self._given.get(name):
                    continue
                if value != value:
                    raise ValueError(f"{name} is NaN at step {t}; mend the schedule.")
                self._given[name] = value
                held = self.get(name)
                if type(held) is np.ndarray and not held.ndim:
                    held.fill(value)
                    continue
                self.spread.discard(name)
            else:
                self._given[name] = None
                (self.spread.add if getattr(value, "ndim", 0) else self.spread.discard)(name)
            self[name] = self.cast(name, value)

    def cast(self, name: str, value: Any) -> Any:
        """A number, or an array of one for each coordinate; raises ValueError for others."""
        if not getattr(value, "ndim", 0):
            return self._scalar(value, self._dtype)
        if value.shape != (self._size,):
            raise ValueError(
                f"{name} is an array of shape {value.shape}; give a number, or one value for each "
                f"of the {self._size} coordinates."
            )
        return xp.asarray(value, self._dtype)

    def forget(self, name: str) -> None:
        """Be without that scalar until it is set again."""
        self._given.pop(name, None)
        self.pop(name, None)
