"""State on disk, the same for rules and wrappers: what it holds, and whether a saved one fits."""

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.arena import Parameters, check_like
from minigrad.backend import Array, to_host, xp
from optim.engine.settings import leaves
from optim.engine.stepping import Stepping


class Saved(Stepping):
    """What continues exactly from what it was when it was saved."""

    if TYPE_CHECKING:  # what a subclass says of itself

        def _live(self) -> dict[str, Array]:
            """The arrays to save, by name."""

        def _own_settings(self) -> dict[str, Any]:
            """The settings, of which some may be schedules with a state."""

        def _rest(self) -> dict[str, Any]:
            """What else is saved."""

        def _load_rest(self, saved: dict[str, Any]) -> None:
            """Take that; changes nothing if it raises."""

    def _numbers(self) -> dict[str, int]:
        """Those that are numbers, in float64, or as many values as there are coordinates."""
        return {}

    def _set(self, name: str, value: Any) -> None:
        """Take the value of one of them."""
        self._live()[name][...] = xp.asarray(value)

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs, on the host: copies, that of an inner nested in it.

        Raises RuntimeError after a step that broke off half-way.
        """
        self.check_whole()
        return {
            "rule": type(self).__name__,
            **self._rest(),
            "state": {name: to_host(array).copy() for name, array in self._live().items()},
            "schedules": {at: one.state_dict() for at, one in self._schedules().items()},
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a state; raises ValueError, and changes nothing, where it does not fit."""
        with self.loading():
            self._load(saved)

    def _load(self, saved: dict[str, Any]) -> None:
        rule, live = type(self).__name__, self._live()
        check_keys(saved, rule, ("rule", *self._rest(), "state", "schedules"))
        check_arrays(saved["state"], live, self._numbers(), rule)
        schedules = self._schedules()
        before = {at: one.state_dict() for at, one in schedules.items()}
        restore(schedules, saved["schedules"])
        try:
            self._load_rest(saved)
        except Exception:
            restore(schedules, before)
            raise
        for name in live:
            self._set(name, saved["state"][name])

    def _schedules(self) -> dict[str, Any]:
        """The schedules that have a state, by place: "lr", "betas[0]"."""
        every = [leaf for name, one in self._own_settings().items() for leaf in leaves(name, one)]
        return {place: one for place, one in every if hasattr(one, "state_dict")}


def check_keys(saved: dict[str, Any], rule: str, keys: tuple[str, ...]) -> None:
    """Raise ValueError unless a state is one of that rule, and whole."""
    if missing := [key for key in keys if key not in saved]:
        raise ValueError(f"the state of {rule} lacks {missing}; load one that state_dict() gave.")
    if saved["rule"] != rule:
        raise ValueError(
            f"the state is one of {saved['rule']}, not of {rule}; build what was saved."
        )


def check_arrays(state: dict[str, Any], live: Any, numbers: dict[str, int], rule: str) -> None:
    """Raise ValueError unless the arrays of a saved state are like the live ones."""
    lacks, extra = sorted(set(live) - set(state)), sorted(set(state) - set(live))
    if lacks or extra:
        raise ValueError(f"the saved state of {rule} lacks {lacks} and has {extra} too many.")
    for name, array in live.items():
        if name in numbers:
            array = np.broadcast_to(0.0, (numbers[name],) if np.ndim(state[name]) else ())
        check_like(state[name], array, f"state {name!r} of {rule}")


def check_shapes(saved: dict[str, Any], params: Parameters) -> None:
    """Raise ValueError unless the names and shapes are those of the parameters, in their order."""
    live = [(name, tensor.shape) for name, tensor in params.items()]
    given = [(name, tuple(shape)) for name, shape in saved.items()]
    for one, other in zip_longest(live, given):
        if one != other:
            raise ValueError(
                f"parameter {one} comes where the saved state has {other}; build the optimizer "
                "with the same parameters in the same order."
            )


def restore(schedules: dict[str, Any], saved: dict[str, Any]) -> None:
    """Load the state of each; raises ValueError, and changes none, where one does not fit."""
    lacks, extra = sorted(schedules.keys() - saved), sorted(saved.keys() - schedules)
    if lacks or extra:
        raise ValueError(
            f"the saved state lacks the schedules {lacks} and has {extra} too many; "
            "build the optimizer with the schedules that it was saved with."
        )
    before = {place: one.state_dict() for place, one in schedules.items()}
    try:
        for place, one in schedules.items():
            one.load_state_dict(saved[place])
    except Exception:
        for place, one in schedules.items():
            one.load_state_dict(before[place])
        raise
