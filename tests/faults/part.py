"""What a part of the script is."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Report = tuple[str, list[str]]  # what was done, and each fault


class Part(NamedTuple):
    """A function of how many faults to make and of what draws them, and its usual number."""

    function: Callable[[int, np.random.Generator], Report]
    count: int
