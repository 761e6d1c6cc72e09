"""State on disk, the same for rules and wrappers: what it holds, and whether a saved one fits."""

from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import Array, to_host, xp
from minigrad.values import check_like
from optim.engine.on_disk import Writes, held, restored, stateful
from optim.engine.state import State
from optim.engine.stepping import Stepping


class Saved(Stepping):
    """What continues exactly from what it was when it was saved."""

    rest: ClassVar[tuple[str, ...]]  # the keys of what is saved beside arrays and settings

    if TYPE_CHECKING:  # what a subclass says of itself

        def _live(self) -> dict[str, Array]:
            """The arrays to save, by name."""

        def _own_settings(self) -> dict[str, Any]:
            """The settings by name."""

        def _check(self, name: str, value: Any) -> None:
            """Raise an error for what a setting may not be."""

        def _rest(self) -> dict[str, Any]:
            """What else is saved."""

        def _load_rest(self, saved: dict[str, Any]) -> Writes:
            """What takes that; raises ValueError, and changes nothing, where it does not fit."""

    def _numbers(self) -> dict[str, int]:
        """Those that are numbers, in float64, or as many values as there are coordinates."""
        return {}

    def _set(self, name: str, value: Any) -> None:
        """Take the value of one of them."""
        self._live()[name][...] = xp.asarray(value)

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs, on the host: copies, that of an inner nested in it.

        Settings are part of it, and schedules with what they were fed; of a function of your own
        nothing is known but that it is one. Saved inside `averaged()`, it has the weights to go on
        from too. Raises RuntimeError after a step that broke off half-way.
        """
        self.check_whole()
        return {
            "rule": type(self).__name__,
            **self._rest(),
            "state": {name: to_host(array).copy() for name, array in self._live().items()},
            "settings": {name: held(setting) for name, setting in self._own_settings().items()},
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a state; raises ValueError, and changes nothing, where it does not fit.

        The settings are those of the state from then on; to change one, set it after loading. A
        function of your own stays, where the state has one in its place. What was saved inside
        `averaged()` sets the parameters too, so load these before.
        """
        with self.loading():
            for write in self._load(saved):
                write()

    def _load(self, saved: dict[str, Any]) -> Writes:
        """What takes a state, once all of it is known to fit."""
        rule, live = type(self).__name__, self._live()
        check_keys(saved, rule, ("rule", *self.rest, "state", "settings"))
        check_arrays(saved["state"], live, self._numbers(), rule)
        return [
            *self._load_settings(saved["settings"], rule),
            *self._load_rest(saved),
            *[partial(self._set, name, saved["state"][name]) for name in live],
        ]

    def _load_settings(self, saved: dict[str, Any], rule: str) -> Writes:
        own = self._own_settings()
        writes: Writes = []
        check_names(saved, own, f"settings of {rule}")
        for name, setting in own.items():
            try:
                value = restored(name, saved[name], setting, writes)
                if value is not setting:
                    self._check(name, value)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                raise ValueError(
                    f"{name}={saved[name]!r:.60} of the saved state of {rule}: {error}"
                ) from error
            kept = stateful(value)
            for lost in stateful(setting):
                if not any(lost is one for one in kept):
                    raise ValueError(
                        f"{name} was {value!r:.60} when it was saved, and is {setting!r:.60}, of "
                        "which the optimizer would lose hold; set it to what it was, and load then."
                    )
            if value is not setting:
                writes.append(partial(setattr, self, name, value))
        return writes


class SavedRule(Saved):
    """What a rule saves beside its settings: the shapes of its parameters, t, arrays, numbers."""

    rest = ("shapes", "t")

    if TYPE_CHECKING:
        t: int
        state: Any
        _owned: Parameters
        _state: State
        _values: Any  # of the last step, if there is one
        _to_train: Any  # the weights that a state has brought, until the next step

    def _live(self) -> dict[str, Array]:
        live: dict[str, Array] = self.state
        return live

    def _numbers(self) -> dict[str, int]:
        return dict.fromkeys(self._state.numbers, self._owned.size)

    def _set(self, name: str, value: Any) -> None:
        if name in self._state.numbers:
            self._state.load_number(name, np.asarray(value))
        else:
            super()._set(name, value)

    def _rest(self) -> dict[str, Any]:
        self.check_weights()
        shapes = {name: list(tensor.shape) for name, tensor in self._owned.items()}
        rest = {"shapes": shapes, "t": self.t}
        if self._owned.are_shown:
            rest["weights"] = to_host(self._owned.to_train()).copy()
        return rest

    def _load_rest(self, saved: dict[str, Any]) -> Writes:
        check_shapes(saved["shapes"], self._owned)
        t, weights = check_count(saved, "t"), saved.get("weights")
        if weights is not None:
            check_like(weights, self._owned.gathered(), '"weights"')
        return [partial(self._go_on, t, weights)]

    def _go_on(self, t: int, weights: Any) -> None:
        self.t, self._values = t, None  # there is no last step
        self._to_train = weights
        if weights is not None:
            self._owned.scatter(xp.asarray(weights))
        self._state.settle(fresh=not t)

    def check_outside(self, what: str) -> None:
        """Raise RuntimeError inside averaged(), where the parameters are not those to train."""
        if self._owned.are_shown:
            raise RuntimeError(
                f"{what} inside averaged(), where the parameters are those to evaluate with and "
                "not those to train; leave it first."
            )

    def check_weights(self) -> None:
        """Raise RuntimeError where the weights that a state has brought were overwritten."""
        if self._to_train is not None and not self._owned.are_shown:
            if (to_host(self._owned.gathered()) != self._to_train).any():
                raise RuntimeError(
                    "the parameters were set after the optimizer's state was loaded, which was "
                    "saved inside averaged() and so has brought those to train on; load it last, "
                    'or without its "weights".'
                )


def check_keys(saved: dict[str, Any], rule: str, keys: tuple[str, ...]) -> None:
    """Raise TypeError for what is no state, ValueError unless it is one of that rule, and whole."""
    if not isinstance(saved, dict):
        raise TypeError(
            f"the state of {rule} is {saved!r:.60}; give what state_dict() gave, from a file as "
            'minigrad.load(path)["opt"], where it was saved as opt=.'
        )
    if missing := [key for key in keys if key not in saved]:
        raise ValueError(
            f"the state of {rule} lacks {missing} and has {list(saved)}; load one that "
            "state_dict() gave."
        )
    if saved["rule"] != rule:
        raise ValueError(
            f"the state is one of {saved['rule']}, not of {rule}; build what was saved."
        )


def check_count(saved: dict[str, Any], name: str) -> int:
    """The number of that name; raises ValueError for what is none."""
    count: int = saved[name]
    if type(count) is not int or count < 0:
        raise ValueError(f"{name}={count!r:.60} of the saved state is not an integer from 0.")
    return count


def check_names(saved: Any, live: Any, what: str) -> None:
    """Raise ValueError unless what is saved has the names of what is live."""
    if not isinstance(saved, dict):
        raise ValueError(f"the saved {what} is {saved!r:.60}; load what state_dict() gave.")
    lacks, extra = sorted(set(live) - set(saved)), sorted(set(saved) - set(live))
    if lacks or extra:
        raise ValueError(f"the saved {what} lacks {lacks} and has {extra} too many.")


def check_arrays(state: dict[str, Any], live: Any, numbers: dict[str, int], rule: str) -> None:
    """Raise ValueError unless the arrays of a saved state are like the live ones."""
    check_names(state, live, f"state of {rule}")
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
