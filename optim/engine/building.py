"""The passes of an optimizer, built from the functions of its rule, and what is refused then."""

from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from typing import Any

from minigrad.backend import current, xp
from optim.engine.eager import is_eager
from optim.engine.kinds import kinds
from optim.engine.passes import (
    CalledPass,
    EagerPass,
    FlatPass,
    Scalars,
    TensorPass,
    accepted,
    then_projected,
)
from optim.engine.program import places
from optim.engine.rule import NOT_SETTINGS
from optim.engine.signature import assigned, signature_of


def scalars_of(rule: Any) -> Scalars:
    """The hyperparameters of a rule: of how many parts each is a tuple, or 0."""
    return {
        f.name: len(f.default) if isinstance(f.default, tuple) else 0
        for f in fields(rule)
        if f.name not in NOT_SETTINGS
    }


def build(opt: Any) -> dict[str, FlatPass | CalledPass]:
    """The passes of an optimizer by name; raises TypeError for a rule that would be wrong."""
    made = {name: _pass(opt, name) for name in (*opt.passes, *opt.after_projection)}
    _check_state(opt, made)
    _check_hyperparameters(opt, made)
    if not current().on_host:
        opt._state.move_to_device(from_sums(opt.given, made.values()))
    return made


def from_sums(given: Iterable[str], passes: Iterable[FlatPass | CalledPass]) -> set[str]:
    """The names of the numbers that `update` gives, and of those of the state that come of these,
    in whatever pass: on a device they lie there."""
    programs = [one.program for one in passes if isinstance(one, FlatPass)]
    known, found = set[str](), set(given)
    while found != known:
        known = set(found)
        for program in programs:
            there = program.come_of(known)
            found |= {name for name, value in program.changed.items() if value in there}
    return found


def _pass(opt: Any, name: str) -> FlatPass | CalledPass:
    function = getattr(opt, name)
    names = signature_of(function).positional
    scalars = accepted(function, scalars_of(type(opt)), ("t", *opt.given))
    if opt.projection is not None and opt.projection.kernel and opt.projected in names:
        if name == "kernel":
            place = names.index(opt.projected)
            function = then_projected(function, place, opt.projection.kernel)
            scalars |= dict.fromkeys(opt.projection.numbers(), 0)
    if name in opt.per_tensor:
        return TensorPass(function, names, scalars, opt._state, opt._owned)
    for rows in names:
        if getattr(opt.state.get(rows), "ndim", 0) > 1:
            raise TypeError(
                f"{name} of {type(opt).__name__} takes {rows}, which has many values for each "
                "coordinate; read it in `update`, or list the pass in per_tensor."
            )
    if opt.eager or is_eager():
        if not current().on_host:
            raise RuntimeError("eager kernels need arrays on the host; use the numpy backend.")
        return EagerPass(function, names, scalars, opt._state, opt._owned)
    return FlatPass(function, names, scalars, opt._state, opt._owned)


def metric_pass(opt: Any) -> FlatPass:
    """The pass that fills an array with diagonal / rate, each rounded to the arena's dtype."""
    diagonal, rate = signature_of(opt.diagonal), signature_of(opt.rate) if opt.rate else None
    every = (*diagonal.positional, *(rate.positional if rate else ()))
    names = ("metric", *dict.fromkeys(every))
    hyperparameters = scalars_of(type(opt))
    scalars = accepted(opt.diagonal, hyperparameters, ("t",))
    scalars |= accepted(opt.rate, hyperparameters, ("t",)) if opt.rate else {"lr": 0}
    opt._state.beside["metric"] = xp.empty(opt._owned.size, opt._owned.dtype)
    function = _measured(opt.diagonal, opt.rate, names)
    return FlatPass(function, names, scalars, opt._state, opt._owned, quiet=True)


@cache
def _measured(diagonal: Any, rate: Any, names: tuple[str, ...]) -> Any:
    """The function of metric()."""
    of_diagonal, of_rate = signature_of(diagonal), signature_of(rate) if rate else None

    def measured(*values: Any, **scalars: Any) -> None:
        known = dict(zip(names, values, strict=True))

        def result(function: Any, signature: Any) -> Any:
            taken = scalars if signature.takes_rest else {n: scalars[n] for n in signature.keywords}
            return function(*[known[n] for n in signature.positional], **taken)

        metric = known["metric"]
        metric[...] = result(diagonal, of_diagonal)
        metric /= result(rate, of_rate) if rate else scalars["lr"]

    measured.__qualname__ = f"{diagonal.__qualname__} over the rate"
    return measured


def _check_state(opt: Any, made: dict[str, FlatPass | CalledPass]) -> None:
    """Raise TypeError for state that would stay as it is, and parameters that would not move."""
    for name in opt.per_tensor:
        for lost in assigned(getattr(opt, name)) & opt._state.numbers:
            raise TypeError(
                f"{name} of {type(opt).__name__} changes the number {lost}, of which every tensor "
                "sees a copy; change it in a pass of numbers alone, which is not per_tensor."
            )
    if any(isinstance(one, CalledPass) for one in made.values()):
        return  # what a function does is not known
    programs = [one.program for one in made.values() if isinstance(one, FlatPass)]
    written = {n for program in programs for n in (*program.written, *program.changed)}
    if "p" not in written:
        raise TypeError(
            f"{type(opt).__name__} never writes p; to move the parameters, write p -= ..., not "
            "p = p - ...."
        )
    if opt.writes_state:
        return  # in its update
    rebound = set().union(*(assigned(getattr(opt, name)) for name in made))
    for name in opt.state_names():
        if name not in written and (name not in opt._state.given or name in rebound):
            raise TypeError(
                f"{type(opt).__name__} never writes its state {name}, which so stays as it is; "
                f"write {name} *= ..., {name} += ... or {name}[...] = ..., not {name} = ..., or "
                "give it in `start`."
            )


def _check_hyperparameters(opt: Any, made: dict[str, FlatPass | CalledPass]) -> None:
    """Raise TypeError for a hyperparameter that nothing reads."""
    used: set[str] = set()
    for one in made.values():
        used |= one.used
    of_kind = kinds(type(opt))
    for name, parts in scalars_of(type(opt)).items():
        kind = of_kind[name]
        elsewhere = any(
            k.elsewhere or k.fixed for k in (kind if isinstance(kind, tuple) else (kind,))
        )
        if not elsewhere and not used.intersection(places(name, parts)):
            raise TypeError(
                f"no pass of {type(opt).__name__} takes its hyperparameter {name}; name it after "
                "the * of a kernel, or declare it as optim.Fixed or optim.Count where only `start` "
                "or `update` reads it."
            )
