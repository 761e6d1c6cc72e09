"""What is wrong with parameters or their gradients."""

from math import isfinite

from minigrad.arena import Parameters
from minigrad.backend import Array, to_host
from optim.engine.floating import quietly


def check_frozen(params: Parameters, owner: str) -> None:
    """Raise RuntimeError for a parameter that no longer requires a gradient."""
    for name, tensor in params.items():
        if not tensor.requires_grad:
            raise RuntimeError(
                f"{name} was frozen, requires_grad=False, after {owner} took it; set it to True "
                "and wrap the optimizer in optim.Frozen, or build one without."
            )


def squares_finite(gradients: list[Array]) -> bool:
    """Whether the squares of these flat arrays, and so they, are finite: one read, on the host."""
    total = 0.0
    for g in gradients:
        total += float(quietly(g.dot, g))
    return isfinite(total)


def all_finite(params: Parameters) -> bool:
    """Whether the gradients are finite; a device is waited for."""
    return squares_finite([span.grad for span in params.spans]) or isfinite(_largest(params)[1])


def largest_gradient(params: Parameters) -> str:
    """The tensor with the largest gradient, one that is not finite if there is any, and how large
    that is."""
    name, peak = _largest(params)
    return f"the largest gradient is {peak:.3g}, of {name}"


def _largest(params: Parameters) -> tuple[str, float]:
    peaks = {
        name: float(abs(to_host(tensor._grad)).max())
        for name, tensor in params.items()
        if tensor.size
    }
    return max(peaks.items(), key=lambda one: (not isfinite(one[1]), one[1]))
