"""A rule's hyperparameters: as they were set, and as they are at step t."""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import to_host, xp
from optim.engine.kinds import Kind

Places = dict[str, Any]  # by place: "lr", "betas[0]", "betas[1]"


class Changing(NamedTuple):
    """A place whose value may differ from step to step: a schedule, or an array, which may be
    written to."""

    place: str
    setting: Any
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
        self.changing: list[Changing] = []
        self._known: dict[str, tuple[Any, Any]] = {}  # of arrays: what was seen, and where it lies
        for place, setting in given.items():
            array = getattr(setting, "ndim", 0)
            if array:
                check_size(place, setting, size)
            if callable(setting) or (array and place in kinds):
                self.changing.append(Changing(place, setting, kinds[place]))
            else:
                self.constant[place] = value_at(place, setting, 1)

    def at(self, t: int) -> Places:
        """The values at step t; raises ValueError for one that leaves its range."""
        values = self.constant.copy()
        for one in self.changing:
            if not callable(one.setting):
                values[one.place] = self._array_at(one, t)
                continue
            value = value_at(one.place, one.setting, t)
            if type(value) is float:
                if not one.kind.contains(value):
                    _refuse(one, value, t)
            else:
                self._check_array(one, value, t)
            values[one.place] = value
        for name in self._ordered:
            check_order(name, values, f" at step {t}")
        values["t"] = float(t)
        return values

    def _array_at(self, one: Changing, t: int) -> Any:
        """An array as it is now: checked, and moved to the device, when it was written to. One that
        lies on a device, which would have to be waited for, is copied and not checked."""
        if not isinstance(one.setting, np.ndarray):
            return value_at(one.place, one.setting, t)
        seen, value = self._known.get(one.place, (None, None))
        if seen is None or (seen != one.setting).any():
            seen = np.array(one.setting, "float64")
            self._check_array(one, seen, t)
            self._known[one.place] = seen, value = seen, xp.asarray(seen)
        return value

    def over(self, times: Any) -> Places:
        """The values at all of these steps (steps, 1): floats, or arrays that broadcast with them.

        Raises ValueError for one that leaves its range at any of them.
        """
        values = {n: x if type(x) is float else to_host(x) for n, x in self.constant.items()}
        for one in self.changing:
            place, setting, kind = one
            if not callable(setting):
                found = np.atleast_2d(to_host(value_at(place, setting, 1)))
            elif getattr(setting, "takes_arrays", False):
                found = np.atleast_2d(np.asarray(setting(times), "float64"))
            else:
                found = _rows(
                    [value_at(place, setting, t) for t in times[:, 0].astype(int).tolist()]
                )
            if found.shape[1] > 1:
                self._check_shape(place, found[0], int(times[0, 0]), kind)
            bad = np.broadcast_to(~kind.contains(found), (len(times), found.shape[1]))
            if bad.any():
                row = int(bad.any(axis=1).argmax())
                first = np.broadcast_to(found, bad.shape)[row][bad[row]][0]
                _refuse(one, float(first), int(times[row, 0]))
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

    def _check_array(self, one: Changing, value: Any, t: int) -> None:
        self._check_shape(one.place, value, t, one.kind)
        if isinstance(value, np.ndarray):  # a device would have to be waited for
            bad = ~one.kind.contains(value)
            if bad.any():
                _refuse(one, float(value[bad][0]), t)


def _rows(values: list[Any]) -> Any:
    """The values of steps as an array (steps, 1) or (steps, coordinates)."""
    if all(type(value) is float for value in values):
        return np.array(values)[:, None]
    arrays = [np.atleast_1d(x) if type(x) is float else to_host(x) for x in values]
    return np.stack(np.broadcast_arrays(*arrays))


def _refuse(changing: Changing, value: float, t: int) -> None:
    place, setting, kind = changing
    said = "is NaN" if value != value else f"is {value:g}"
    cure = "mend the schedule" if callable(setting) else "set values that are inside"
    raise ValueError(f"{place} {said} at step {t}, outside {kind.range}; {cure}.")


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

    Raises TypeError for what is no number and no array, ValueError for a schedule that overflows.
    """
    try:
        value = setting(t) if callable(setting) else setting
    except OverflowError as error:
        raise ValueError(
            f"{place}={setting!r:.60} overflows at step {t}; mend the schedule."
        ) from error
    if type(value) is float:
        return value
    if isinstance(value, Real):
        return float(value)
    if not hasattr(value, "ndim"):
        when = f" at step {t}" if callable(setting) else ""
        raise TypeError(
            f"{place}={value!r}{when} is not a number, a schedule or an array; give one, as 0.1, "
            "optim.schedules.Cosine(0.1, 0, 100) or an array with one value for each coordinate."
        )
    return xp.array(value, "float64") if value.ndim else float(value)


def own_copy(setting: Any) -> Any:
    """The setting, with arrays that nobody else holds."""
    if isinstance(setting, tuple):
        return tuple([own_copy(part) for part in setting])
    return setting.copy() if getattr(setting, "ndim", 0) else setting


def fixed_copy(value: Any) -> Any:
    """An own copy that, on the host, cannot be written to."""
    value = own_copy(value)
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    return value


def comparable(setting: Any) -> Any:
    """Something that can be hashed, and is equal for equal settings."""
    if isinstance(setting, tuple):
        return tuple([comparable(part) for part in setting])
    if getattr(setting, "ndim", 0):
        return setting.shape, *to_host(setting).ravel().tolist()
    return setting


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
        raise TypeError(f"{name}={setting!r}: {name} is {form}; give one.")
    every = kind if isinstance(kind, tuple) else (kind,)
    for (place, part), one in zip(leaves(name, setting), every, strict=True):
        one.check_form(place, part, part)
        if isinstance(part, type):
            raise TypeError(f"{place}={part.__name__} is a class; build one, with its arguments.")
        number = value_at(place, part, 1)
        if getattr(number, "ndim", 0) and not one.array:
            raise ValueError(
                f"{place} of {owner} is one number, not an array of shape {number.shape}; give a "
                "number or a schedule of numbers."
            )
        one.check(name, setting, number)
