"""Settings in a saved state: what a checkpoint holds of each, and the way back.

A number or an array is held as it is, a tuple as its parts by position, a schedule of
`optim.schedules` by its class and fields. Of any other callable only the class is known, and the
state, if it has a state_dict() to give one and a load_state_dict() to take it.
"""

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any

from minigrad.backend import to_host
from optim.engine.declared import Declared
from optim.engine.registry import SCHEDULES
from optim.engine.settings import comparable

Writes = list[Callable[[], Any]]  # what is left to do once all is known to fit


def held(setting: Any) -> Any:
    """What a checkpoint holds of a setting."""
    if setting is None or isinstance(setting, (bool, str)):
        return setting
    if isinstance(setting, Real):
        return int(setting) if isinstance(setting, Integral) else float(setting)
    if isinstance(setting, tuple):
        return {str(i): held(part) for i, part in enumerate(setting)}
    if hasattr(setting, "ndim"):
        return to_host(setting).copy() if setting.ndim else setting.item()
    form: dict[str, Any] = {"class": type(setting).__name__}
    if isinstance(setting, Declared):
        fields = [f.name for f in setting.declared() if f.init]
        form["fields"] = {name: held(getattr(setting, name)) for name in fields}
    if hasattr(setting, "state_dict"):
        form["state"] = setting.state_dict()
    return form


def restored(place: str, form: Any, live: Any, writes: Writes) -> Any:
    """The setting that was saved, in place of `live`, and that itself where it is the same.

    Nothing is changed: what gives live schedules their state is added to `writes`. Raises
    ValueError, or what a constructor raises, for what does not fit.
    """
    if not isinstance(form, dict):
        return live if _same(form, live) else form
    if "class" in form:
        return _schedule(place, form, live, writes)
    alike = isinstance(live, tuple) and len(live) == len(form)
    parts = live if alike else (None,) * len(form)
    made = tuple(
        [restored(f"{place}[{i}]", form[str(i)], part, writes) for i, part in enumerate(parts)]
    )
    return live if alike and _unchanged(parts, made) else made


def stateful(setting: Any) -> list[Any]:
    """The schedules with a state in a setting."""
    if isinstance(setting, tuple):
        return [one for part in setting for one in stateful(part)]
    if isinstance(setting, Declared):
        fields = [getattr(setting, f.name) for f in setting.declared() if f.init]
        return stateful(tuple(fields)) + [setting] * hasattr(setting, "state_dict")
    return [setting] if hasattr(setting, "state_dict") else []


def _schedule(place: str, form: dict[str, Any], live: Any, writes: Writes) -> Any:
    name, state = form["class"], form.get("state")
    alike = type(live).__name__ == name
    if "fields" not in form:
        if not alike or hasattr(live, "state_dict") != (state is not None):
            raise ValueError(
                f"{place} was a {name}, which no file holds, and is {live!r:.60}; set it to what "
                "it was, and load then."
            )
        writes += [] if state is None else [_rehearsed(live, state)]
        return live
    kind = type(live) if alike else SCHEDULES.get(name)
    if kind is None:
        raise ValueError(
            f"{place} was the schedule {name}, which is unknown here; import what defines it, and "
            "load then."
        )
    if (state is None) == hasattr(kind, "state_dict"):
        raise ValueError(f"{place}: {name} with the state {state!r:.60}; load what it gave.")
    parts = {n: getattr(live, n, None) if alike else None for n in form["fields"]}
    made = {n: restored(f"{place}.{n}", form["fields"][n], parts[n], writes) for n in parts}
    same = alike and _unchanged(tuple(parts.values()), tuple(made.values()))
    schedule = live if same else kind(**made)
    if state is None:
        return schedule
    if not alike:
        schedule.load_state_dict(state)
        return schedule
    if not same:  # whoever feeds the live one will go on feeding it
        writes.append(partial(vars(live).update, made))
    writes.append(_rehearsed(live, state))
    return live


def _rehearsed(one: Any, state: Any) -> Callable[[], Any]:
    """What loads the state; raises what that would, and changes nothing."""
    before = one.state_dict()
    try:
        one.load_state_dict(state)
    finally:
        one.load_state_dict(before)
    return partial(one.load_state_dict, state)


def _same(form: Any, live: Any) -> bool:
    return type(form) is type(held(live)) and bool(comparable(form) == comparable(live))


def _unchanged(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    return all(a is b for a, b in zip(before, after, strict=True))
