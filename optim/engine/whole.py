"""Whole runs: a stretch of steps whose gradients are known beforehand, as one loop over time.

The passes of a step become one program. What its numbers owe to the step alone, schedules and
powers above all, is computed for all steps at once; what continues from step to step stays in the
loop.
"""

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import Array, current, xp
from optim.engine.floating import quietly
from optim.engine.functions import ROUNDED_ANYHOW
from optim.engine.gradients import check_frozen
from optim.engine.hoist import evaluate, wide
from optim.engine.on_disk import stateful
from optim.engine.passes import FlatPass
from optim.engine.program import Entry, Program, Value
from optim.engine.settings import Places


@cache
def one_program(programs: tuple[Program, ...]) -> Program:
    """The programs of passes that follow each other, as one."""
    whole = Program(" and ".join(p.name for p in programs), {}, {})
    now: dict[str, Value] = {}  # the numbers of the state, as the passes so far have left them
    for program in programs:
        known: dict[Any, Any] = {}
        for name, value in program.arrays.items():
            known[value] = whole.arrays.setdefault(name, value)
        for name, value in program.numbers.items():
            known[value] = now.get(name) or whole.numbers.setdefault(name, value)
        for entries, into in ((program.hoisted, whole.hoisted), (program.loop, whole.loop)):
            for function, inputs, out, where in entries:
                operands = tuple([known.get(x, x) for x in inputs])
                into.append(Entry(function, operands, known.get(out, out), where))
        whole.state |= program.state
        now |= {name: known.get(value, value) for name, value in program.changed.items()}
    whole.changed = now
    return whole


def step_program(opt: Any, metric: bool = False) -> Program:
    """All that a step does, as one program, and if asked what metric() does after it.

    Raises TypeError for a rule whose step is more than its passes, or sees whole tensors.
    """
    passes = [*opt._passes.values(), *([opt.metric_pass()] if metric else [])]
    programs = tuple(one.program for one in passes if isinstance(one, FlatPass))
    if len(programs) < len(passes) or opt.writes_state:
        raise TypeError(
            f"{type(opt).__name__} sums over coordinates or sees whole tensors, so that a step is "
            "more than a function of each coordinate, and no trace has all of it."
        )
    return one_program(programs)


class Timed(NamedTuple):
    """A step's program, cut by when its numbers are known, for a run over time.

    `given` are known before the run, each as a float, one for each step, or one for each step and
    coordinate, which `kinds` has as "", "t" and "ti". What continues from step to step is in the
    loop over time, and where it reads of a coordinate, in the loop over these.
    """

    program: Program
    numbers: tuple[str, ...]  # of the state
    given: tuple[Value, ...]
    kinds: tuple[str, ...]
    of_step: tuple[Entry, ...]
    of_coordinate: tuple[Entry, ...]

    @property
    def possible(self) -> bool:
        """Whether it has the bits of stepping: a number of the state stays one, and no function
        differs between machines."""
        inner = {entry.out for entry in self.of_coordinate} | self.given_of("ti")
        functions = {e.function for e in (*self.of_step, *self.of_coordinate, *self.program.loop)}
        return not (inner.intersection(self.program.changed.values()) or functions & ROUNDED_ANYHOW)

    def given_of(self, kind: str) -> set[Value]:
        """The given numbers of one kind."""
        return {v for v, one in zip(self.given, self.kinds, strict=True) if one == kind}


@cache
def timed(program: Program, numbers: tuple[str, ...], kinds: tuple[str, ...]) -> Timed:
    """The program with its numbers of the state by name, and the kinds of what is given."""
    given, continuing = _cut(program, numbers)
    inner = {v for v, kind in zip(given, kinds, strict=True) if kind == "ti"}
    of_step, of_coordinate = [], []
    for entry in continuing:
        if inner.intersection(entry.inputs):
            inner.add(entry.out)
            of_coordinate.append(entry)
        else:
            of_step.append(entry)
    return Timed(program, numbers, given, kinds, tuple(of_step), tuple(of_coordinate))


@cache
def _cut(program: Program, numbers: tuple[str, ...]) -> tuple[tuple[Value, ...], list[Entry]]:
    """The values that are known before a run, as far as the rest reads them, and the rest."""
    moving = {program.numbers[name] for name in numbers}
    continuing = []
    for entry in program.hoisted:
        if moving.intersection(entry.inputs):
            moving.add(entry.out)
            continuing.append(entry)
    read = [x for entry in continuing for x in entry.inputs if isinstance(x, Value)]
    needed = dict.fromkeys([*read, *program.met, *program.changed.values()])
    return tuple(value for value in needed if value not in moving), continuing


def _known(program: Program, values: dict[str, Any], wanted: tuple[Value, ...]) -> list[Any]:
    """The wanted numbers for all steps of `values`."""
    known = {v: wide(values[name]) for name, v in program.numbers.items() if name in values}
    for entry in program.hoisted:
        if all(x in known for x in entry.inputs if isinstance(x, Value)):
            operands = [known[x] if isinstance(x, Value) else np.float64(x) for x in entry.inputs]
            known[entry.out] = evaluate(entry, operands)
    return [known[value] for value in wanted]


def play(opt: Any, gradients: Any, metric: bool, at: int | None) -> Any:
    """What Optimizer.play does; see there."""
    steps, size = len(gradients), opt._owned.size
    if gradients.ndim != 2 or gradients.shape[1] not in (1, size):
        raise ValueError(
            f"gradients of shape {gradients.shape}: give (steps, {size}), or (steps, 1) for one "
            "that all coordinates share."
        )
    if opt.needs_closure:
        raise TypeError(f"{type(opt).__name__} asks for a closure, so it cannot be played.")
    if at is not None and at < 1:
        raise ValueError(f"at={at}: steps count from 1; give one of them.")
    opt.check_ready("play()")
    check_frozen(opt._owned, type(opt).__name__)
    gradients = quietly(xp.asarray, gradients, opt._owned.dtype)
    times = np.arange(opt.t + 1, opt.t + 1 + steps) if at is None else np.full(steps, at)
    _check_finite(opt, gradients, times)
    played = xp.empty((steps, size), opt._owned.dtype)
    metrics = xp.empty((steps, size), opt._owned.dtype) if metric else None
    opt._owned.materialize_grads()
    if steps and size:
        values = None
        if not _fed(opt):  # else what a schedule gives depends on what it was fed
            known = times[:, None] if at is None else times[:1, None]
            values = opt._prepared().over(known.astype("float64"))
        if values is None or not _at_once(opt, values, gradients, times, played, metrics):
            _stepped(opt, gradients, times, played, metrics)
    return (played, metrics) if metric else played


def _fed(opt: Any) -> bool:
    """Whether a setting has schedules with a state."""
    return bool(stateful(tuple(opt._own_settings().values())))


def _check_finite(opt: Any, gradients: Array, times: Array) -> None:
    """Raise FloatingPointError for the first step whose gradient is not finite; not on a device."""
    if current().on_host and not (good := np.isfinite(gradients).all(axis=1)).all():
        k = int(good.argmin())
        raise FloatingPointError(
            f"{opt} at step {times[k]}: gradients[{k}] is not finite in {gradients.dtype}; "
            "nothing was played."
        )


def _at_once(
    opt: Any, values: Places, gradients: Array, times: Array, played: Array, metrics: Array | None
) -> bool:
    """Whether a compiled loop has done it; if not, nothing has changed."""
    backend, owned = current(), opt._owned
    flat = all(isinstance(one, FlatPass) for one in opt._passes.values())
    plain = opt.projection is None or opt.projection.kernel
    runs = backend.compiles or not backend.on_host
    if opt.writes_state or _fed(opt) or len(owned.spans) > 1 or not (flat and plain and runs):
        return False
    passes = [*opt._passes.values(), *([opt.metric_pass()] if metrics is not None else [])]
    program = one_program(tuple(one.program for one in passes))
    numbers = tuple(name for name in program.numbers if name in program.state)
    given, _ = _cut(program, numbers)
    try:
        known = [_as_given(x, len(gradients)) for x in _known(program, values, given)]
    except FloatingPointError:
        return False  # stepping says at which step
    cut = timed(program, numbers, tuple(kind for kind, _ in known))
    if not cut.possible or any(opt.state[name].ndim for name in numbers):
        return False
    opt.mark_half_way()
    before = {"p": owned.gathered(), **{name: a.copy() for name, a in opt.state.items()}}
    machine: Any = import_module(
        "optim.engine.loop" if backend.on_host else "optim.engine.cuda_run"
    )
    if not machine.run(cut, opt._state, gradients, [x for _, x in known], played, metrics):
        owned.scatter(before.pop("p"))
        for name, array in before.items():
            opt.state[name][...] = array
        opt.mark_half_way(False)
        return False  # stepping says what overflows, and at which step
    opt.skipped_to(int(times[-1]), gradients[-1])
    opt.mark_half_way(False)
    return True


def _as_given(value: Any, steps: int) -> tuple[str, Any]:
    """The kind of a number that is known beforehand, and the number as a float or an array."""
    array = np.asarray(value, "float64")
    if not array.ndim:
        return "", float(array)
    if array.shape == (steps, 1):
        return "t", array[:, 0].copy()
    if array.shape == (1, 1):  # all of them are the same step
        return "", array.item()
    return "ti", np.array(np.broadcast_to(array, (steps, array.shape[-1])), order="C")


def _stepped(opt: Any, gradients: Any, times: Array, played: Array, metrics: Array | None) -> None:
    """Step by step, on every machine and for every rule."""
    bounds, offset = [], 0  # of each span, among all coordinates
    for span in opt._owned.spans:
        stop = offset + span.stop - span.start
        bounds.append((span.data, span.grad, slice(offset, stop)))
        offset = stop
    shared = gradients.shape[1] == 1
    for k, (row, t) in enumerate(zip(gradients, times.tolist(), strict=True)):
        for data, grad, here in bounds:
            played[k, here] = data
            grad[...] = row if shared else row[here]
        opt.t = t - 1
        opt.step()
        if metrics is not None:
            metrics[k] = opt.metric()


def plays_whole(opt: Any) -> bool:
    """Whether play() is one loop over time on a machine that compiles, with settings as now."""
    try:
        program = step_program(opt)
    except TypeError:
        return False
    numbers = tuple(name for name in program.numbers if name in program.state)
    given, _ = _cut(program, numbers)
    cut = timed(program, numbers, ("",) * len(given))
    return cut.possible and not any(opt.state[name].ndim for name in numbers)
