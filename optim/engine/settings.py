"""A rule's hyperparameters: as they were set, and as they are at step t."""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import to_host, xp
from optim.engine.kinds import Kind

Places = dict[str, Any]  # by place: "lr", "betas[0]", "betas[1]"


class Scheduled(NamedTuple):
    """A place whose value is a function of the step."""

    place: str
    schedule: Any
    kind: Kind


class Settings:
    """The values of all hyperparameters at a step, by place, in float64.

    Numbers are Python's; an array of one value per coordinate lies on the device. Of the `ordered`
    the first part may not exceed the second.
    """

    def __init__(
        self, given: Places, kinds: dict[str, Kind], size: int, ordered: tuple[str, ...] = ()
    ):
        self._size, self._ordered = size, ordered
        self.constant: Places = {}
        self.scheduled: list[Scheduled] = []
        for place, setting in given.items():
            if callable(setting):
                self.scheduled.append(Scheduled(place, setting, kinds[place]))
            else:
                self.constant[place] = value = value_at(place, setting, 1)
                if type(value) is not float:
                    check_size(place, value, size)

    def at(self, t: int) -> Places:
        """The values at step t; raises ValueError for a schedule that leaves its range."""
        values = self.constant.copy()
        for place, schedule, kind in self.scheduled:
            value = value_at(place, schedule, t)
            if type(value) is float:
                if not kind.contains(value):
                    _refuse(place, value, t, kind)
            else:
                self._check_array(place, value, t, kind)
            values[place] = value
        for name in self._ordered:
            check_order(name, values, f" at step {t}")
        values["t"] = float(t)
        return values

    def over(self, times: Any) -> Places:
        """The values at all of these steps (steps, 1): floats, or arrays that broadcast with them.

        Raises ValueError for a schedule that leaves its range at any of them.
        """
        values = {n: x if type(x) is float else to_host(x) for n, x in self.constant.items()}
        for place, schedule, kind in self.scheduled:
            if getattr(schedule, "takes_arrays", False):
                found = np.atleast_2d(np.asarray(schedule(times), "float64"))
            else:
                found = _rows(
                    [value_at(place, schedule, t) for t in times[:, 0].astype(int).tolist()]
                )
            if found.shape[1] > 1:
                self._check_shape(place, found[0], int(times[0, 0]), kind)
            bad = np.broadcast_to(~kind.contains(found), (len(times), found.shape[1]))
            if bad.any():
                row = int(bad.any(axis=1).argmax())
                first = np.broadcast_to(found, bad.shape)[row][bad[row]][0]
                _refuse(place, float(first), int(times[row, 0]), kind)
            values[place] = found
        if any(np.any(values[f"{n}[0]"] > values[f"{n}[1]"]) for n in self._ordered):
            for t in times[:, 0].astype(int).tolist():
                self.at(t)  # which says where
        values["t"] = times
        return values

    def _check_shape(self, place: str, value: Any, t: int, kind: Kind) -> None:
        if not kind.array:
            raise ValueError(
                f"{place} is an array of shape {value.shape} at step {t}, but one number for all "
                "coordinates; mend the schedule."
            )
        check_size(place, value, self._size)

    def _check_array(self, place: str, value: Any, t: int, kind: Kind) -> None:
        self._check_shape(place, value, t, kind)
        if isinstance(value, np.ndarray):  # a device would have to be waited for
            bad = ~kind.contains(value)
            if bad.any():
                _refuse(place, float(value[bad][0]), t, kind)


def _rows(values: list[Any]) -> Any:
    """The values of steps as an array (steps, 1) or (steps, coordinates)."""
    if all(type(value) is float for value in values):
        return np.array(values)[:, None]
    arrays = [np.atleast_1d(x) if type(x) is float else to_host(x) for x in values]
    return np.stack(np.broadcast_arrays(*arrays))


def _refuse(place: str, value: float, t: int, kind: Kind) -> None:
    said = "is NaN" if value != value else f"is {value:g}"
    raise ValueError(f"{place} {said} at step {t}, outside {kind.range}; mend the schedule.")


def check_size(place: str, value: Any, size: int) -> None:
    """Raise ValueError for an array that has not one value for each coordinate."""
    if value.shape != (size,):
        raise ValueError(
            f"{place.split('[')[0]} is an array of shape {value.shape}; give a number, or one "
            f"value for each of the {size} coordinates."
        )


def check_order(name: str, values: Places, when: str = "") -> None:
    """Raise ValueError where the first part of a pair exceeds the second."""
    first, second = values[f"{name}[0]"], values[f"{name}[1]"]
    on_host = all(isinstance(x, float | np.ndarray) for x in (first, second))
    if on_host and np.any(first > second):  # a device would have to be waited for
        raise ValueError(
            f"{name}[0]={first!r:.60} exceeds {name}[1]={second!r:.60}{when}; give the smaller "
            "first."
        )


def value_at(place: str, setting: Any, t: int) -> Any:
    """A setting at step t: a float, or an array of float64 on the device.

    Raises TypeError for what is no number and no array.
    """
    value = setting(t) if callable(setting) else setting
    if type(value) is float:
        return value
    if isinstance(value, Real):
        return float(value)
    if not hasattr(value, "ndim"):
        when = f" at step {t}" if callable(setting) else ""
        raise TypeError(f"{place}={value!r}{when} is not a number, a schedule or an array.")
    return xp.array(value, "float64") if value.ndim else float(value)


def own_copy(setting: Any) -> Any:
    """The setting, with arrays that nobody else holds."""
    if isinstance(setting, tuple):
        return tuple([own_copy(part) for part in setting])
    return setting.copy() if getattr(setting, "ndim", 0) else setting


def leaves(name: str, setting: Any) -> list[tuple[str, Any]]:
    """What a hyperparameter consists of, by place."""
    if isinstance(setting, tuple):
        return [(f"{name}[{i}]", part) for i, part in enumerate(setting)]
    return [(name, setting)]


def check_setting(owner: str, name: str, setting: Any, kind: Kind | tuple[Kind, ...]) -> None:
    """Raise TypeError or ValueError for what a setting of `owner` may not be; of a schedule its
    first value is seen."""
    wanted = len(kind) if isinstance(kind, tuple) else 0
    if (len(setting) if isinstance(setting, tuple) else 0) != wanted:
        form = f"a tuple of {'two' if wanted == 2 else wanted}" if wanted else "one value"
        raise TypeError(f"{name}={setting!r}: {name} is {form}.")
    every = kind if isinstance(kind, tuple) else (kind,)
    for (place, part), one in zip(leaves(name, setting), every, strict=True):
        one.check_form(place, part, part)
        number = value_at(place, part, 1)
        if getattr(number, "ndim", 0) and not one.array:
            raise ValueError(
                f"{place} of {owner} is one number, not an array of shape {number.shape}; give a "
                "number or a schedule of numbers."
            )
        one.check(name, setting, number)
