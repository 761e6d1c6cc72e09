"""The values of tensors by name, as they are saved: copied, and copied in."""

from collections.abc import Mapping
from typing import Any

from minigrad.backend import Array
from minigrad.convert import plain
from minigrad.tensor import Tensor


def copy_values(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """A copy of every tensor's values by name, on the host."""
    return {name: t.numpy().copy() for name, t in tensors.items()}


def load_values(tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Copy values in; raises ValueError, and changes nothing, where names or shapes differ."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_state_dict({state!r:.60}): pass a dictionary of arrays by name; minigrad.load "
            "reads the dictionaries in a file."
        )
    missing, extra = set(tensors) - set(state), set(state) - set(tensors)
    if missing or extra:
        raise ValueError(
            f"parameters differ from the state: missing {sorted(missing)}, "
            f"unexpected {sorted(extra)}; build the model that was saved."
        )
    values = {name: plain(state[name]) for name in tensors}
    for name, t in tensors.items():
        check_like(values[name], t.data, f"parameter {name!r}")
    for name, t in tensors.items():
        t.data = values[name]


def check_like(saved: Any, live: Array, what: str) -> None:
    """Raise ValueError unless a saved array has the shape and dtype of the one it is for."""
    if not hasattr(saved, "dtype"):
        raise ValueError(f"{what} is a saved {type(saved).__name__}; load an array.")
    if saved.shape != live.shape or saved.dtype != live.dtype:
        raise ValueError(
            f"{what} is {live.dtype} of shape {live.shape}, "
            f"the saved one {saved.dtype} of shape {saved.shape}; load the state that fits."
        )
