"""What is wrong with parameters or their gradients, for errors."""

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import to_host


def check_frozen(params: Parameters, owner: str) -> None:
    """Raise RuntimeError for a parameter that no longer requires a gradient."""
    for name, tensor in params.items():
        if not tensor.requires_grad:
            raise RuntimeError(
                f"{name} was frozen, requires_grad=False, after {owner} took it; set it to True "
                "and wrap the optimizer in optim.Frozen, or build one without."
            )


def largest_gradient(params: Parameters) -> str:
    """The tensor with the largest gradient, and how large that is."""
    with np.errstate(all="ignore"):
        peaks = {n: float(abs(to_host(t._grad)).max()) for n, t in params.items() if t.size}
    name = max(peaks, key=lambda n: (not np.isfinite(peaks[n]), peaks[n]))
    return f"the largest gradient is {peaks[name]:.3g}, of {name}"
