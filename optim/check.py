"""What should hold for every rule, and what may: tried out on one of them.

    from optim.check import check_rule
    for name, outcome in check_rule(Mine).items():
        print(name, outcome)

A rule is a class of Optimizer, or one of optim.named. A check may fail by design: a rule that
decays weights moves them where gradients are 0.
"""

import os
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from minigrad import Tensor, load, save, to_host
from minigrad.backend import current, temporarily
from minigrad.errors import one_line
from optim.driving import SIZE, drive, end, feed, gradients, start, tensors
from optim.engine.optimizer import Optimizer
from optim.projections import Box

Rule = Any  # which a union of its two kinds would not describe to mypy
TINY, HUGE = 1e-30, 1e30  # gradients; the square of neither is a float32
LARGER = 2.0**20  # a power of 2, which scales every value without rounding
LAYOUTS = ((None, 1), (64, 1), (8, 3))  # bytes of a block, and threads
ROUNDING = 1e-9


class Outcome(NamedTuple):
    """Whether it holds, and what was seen."""

    holds: bool
    seen: str

    def __str__(self) -> str:
        return f"{'yes' if self.holds else 'no'}, {self.seen}"


def same_in_blocks(
    rule: Rule, dtype: str = "float64", size: int = SIZE, **settings: Any
) -> Outcome:
    """A step has the same bits however coordinates are cut into blocks, on any threads."""
    ends = []
    for block_bytes, threads in LAYOUTS:
        with _laid_out(block_bytes, threads):
            opt = rule(tensors(start(dtype, size), [(size,)]), **settings)
            drive(opt, gradients(6)[:, :size])
            ends.append(end(opt))
    for other in ends[1:]:
        if others := _differing(other, ends[0]):
            return Outcome(False, f"{others[0]} depends on how coordinates are cut into blocks")
    return Outcome(True, f"{len(LAYOUTS)} ways to cut {size} coordinates gave the same bits")


@contextmanager
def _laid_out(block_bytes: int | None, threads: int) -> Iterator[None]:
    """Inside, optimizers are built to work in blocks of that size, on so many threads."""
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = str(threads)
    try:
        with temporarily(replace(current(), block_bytes=block_bytes)):
            yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def keeps_the_dtype(rule: Rule, dtype: str = "float32", **settings: Any) -> Outcome:
    """Parameters and arrays of the state have the parameters' dtype, numbers float64."""
    opt = rule(tensors(start(dtype)), **settings)
    drive(opt, gradients(3))
    kept = {"p": opt.params.data, "g": opt.params.grad, **opt.state}
    numbers = {name for name, array in rule(tensors(start(dtype))).state.items() if not array.ndim}
    for name, array in kept.items():
        wanted = "float64" if name in numbers else dtype
        if (found := str(to_host(array).dtype)) != wanted:
            return Outcome(False, f"{name} is {found} beside parameters of {dtype}")
    of_numbers = f", and its {len(numbers)} numbers float64" if numbers else ""
    return Outcome(True, f"all arrays are {dtype}{of_numbers}")


def still_at_zero(rule: Rule, dtype: str = "float32", **settings: Any) -> Outcome:
    """Gradients of 0 move nothing."""
    x0 = start(dtype)
    rows = drive(rule(tensors(x0), **settings), np.zeros((30, SIZE)))
    moved = float(np.abs(rows - x0).max())
    said = f"move a parameter by {moved:.2g}" if moved else "move nothing"
    return Outcome(np.array_equal(rows, np.tile(x0, (30, 1))), f"30 gradients of 0 {said}")


def still_where_unseen(rule: Rule, dtype: str = "float32", **settings: Any) -> Outcome:
    """Coordinates whose gradients are all 0 stay, while others move."""
    x0, g, unseen = start(dtype), gradients(30), np.arange(SIZE) % 2 == 0
    rows = drive(rule(tensors(x0), **settings), np.where(unseen, 0, g))
    moved = float(np.abs(rows - x0)[:, unseen].max())
    said = f"moved by {moved:.2g}" if moved else "stayed"
    return Outcome(moved == 0, f"coordinates whose gradients were all 0 {said} while others moved")


def takes_tiny_gradients(rule: Rule, dtype: str = "float32", **settings: Any) -> Outcome:
    """Gradients whose squares round to 0 move parameters by little, and leave all finite."""
    opt = rule(tensors(start(dtype)), **_without_eps(rule), **settings)
    moved = np.abs(drive(opt, np.full((10, SIZE), TINY)) - start(dtype)).max()
    if bad := _not_finite(opt):
        return Outcome(False, f"ten gradients of {TINY:g} leave {bad[0]} not finite")
    # the most that a scaled gradient can do is to step by lr / sqrt(1 - beta2), with momentum
    return Outcome(bool(moved < 0.5), f"ten gradients of {TINY:g} move parameters by {moved:.2g}")


def takes_or_reports_a_huge_gradient(
    rule: Rule, dtype: str = "float32", **settings: Any
) -> Outcome:
    """A gradient whose square overflows leaves all finite, or is refused."""
    opt = rule(tensors(start(dtype)), **settings)
    drive(opt, gradients(2))
    g = np.ones(SIZE)
    g[-30] = -HUGE
    feed(opt.params, g)
    try:
        opt.step()
    except FloatingPointError as error:
        return Outcome(True, f"a gradient of {HUGE:g} is refused: {str(error).rstrip('.')}")
    if bad := _not_finite(opt):
        return Outcome(
            False, f"a gradient of {HUGE:g} leaves {bad[0]} not finite, and none says so"
        )
    return Outcome(True, f"a gradient of {HUGE:g} leaves all finite")


def continues(rule: Rule, dtype: str = "float32", **settings: Any) -> Outcome:
    """Saved and loaded, it goes on to the same bits."""
    grads = gradients(20)
    opt = rule(tensors(start(dtype)), **settings)
    drive(opt, grads[:10])
    with TemporaryDirectory() as folder:
        save(Path(folder) / "state.npz", params=opt.params, opt=opt)
        saved = load(Path(folder) / "state.npz")
    rows = drive(opt, grads[10:])
    fresh = rule(tensors(np.zeros(SIZE, dtype)), **settings)
    fresh.params.load_state_dict(saved["params"])
    fresh.load_state_dict(saved["opt"])
    if fresh.t != 10 or not np.array_equal(drive(fresh, grads[10:]), rows):
        return Outcome(False, "loaded after ten steps, it goes elsewhere in the next ten")
    if others := _differing(end(fresh), end(opt)):
        return Outcome(False, f"loaded after ten steps, its {others[0]} is another in the end")
    return Outcome(True, "loaded after ten steps, it takes the next ten to the same bits")


def allocates_little(rule: Rule) -> Outcome:
    """A step allocates nothing that grows with the parameters, but what one tensor needs."""
    sees_shapes = bool(rule([Tensor(np.ones(2), requires_grad=True)]).per_tensor)
    shape, count = ((64, 64), 2**10) if sees_shapes else ((2**22,), 1)
    x = [Tensor(np.ones(shape, np.float32), requires_grad=True) for _ in range(count)]
    opt = rule(x, projection=Box(-1, 2))
    opt.params.grad.fill(0.5)
    tracemalloc.start()
    try:
        opt.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # each of up to three threads has temporaries of its own
    size = opt.params.data.nbytes
    said = f"a step on {size / 1e6:.0f} MB of parameters allocates {peak / 1e6:.2g} MB"
    return Outcome(peak < size / 2, said)


def same_in_any_order(rule: Rule, dtype: str = "float64", **settings: Any) -> Outcome:
    """Coordinates in another order go the same ways, up to rounding."""
    order, grads = np.random.default_rng(0).permutation(SIZE), gradients(20)
    x0 = start(dtype)
    rows = drive(rule(tensors(x0, [(SIZE,)]), **settings), grads)[:, order]
    others = drive(rule(tensors(x0[order], [(SIZE,)]), **settings), grads[:, order])
    if np.array_equal(rows, others):
        return Outcome(True, "coordinates in another order go the same ways, bit for bit")
    apart = float(np.abs(rows - others).max())
    said = f"coordinates in another order go ways that are apart by {apart:.2g}"
    return Outcome(apart < ROUNDING, said)


def scale(rule: Rule, **settings: Any) -> str:
    """What becomes of steps without eps where gradients are 2^20 times as large, in words."""
    x0, grads = start(), gradients(20)
    try:
        rows, others = (
            drive(rule(tensors(x0), **_without_eps(rule), **settings), factor * grads) - x0
            for factor in (1.0, LARGER)
        )
    except Exception as error:
        return f"it raises {one_line(error)}"
    larger = "where gradients are 2^20 times as large"
    if np.allclose(others, rows, rtol=1e-6, atol=0):
        return f"steps are the same {larger}"
    if np.allclose(others, LARGER * rows, rtol=1e-6, atol=0):
        return f"steps are 2^20 times as large {larger}"
    factor = np.abs(others[-1]).mean() / np.abs(rows[-1]).mean()
    return f"the way after 20 steps is {factor:.3g} times as long {larger}"


def _without_eps(rule: Rule) -> dict[str, float]:
    """The setting without which eps decides what becomes of small gradients."""
    return {"eps": 0.0} if "eps" in rule.hyperparameters() else {}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The names of arrays that are not the same, bit for bit."""
    return [name for name in other if one[name].tobytes() != other[name].tobytes()]


def _not_finite(opt: Optimizer) -> list[str]:
    return [name for name, array in end(opt).items() if not np.all(np.isfinite(array))]


CHECKS: dict[str, Callable[[Rule], Outcome]] = {
    "the same in any blocks": same_in_blocks,
    "keeps the dtype": keeps_the_dtype,
    "still at gradients of 0": still_at_zero,
    "still where gradients are all 0": still_where_unseen,
    "takes tiny gradients": takes_tiny_gradients,
    "takes or reports a huge one": takes_or_reports_a_huge_gradient,
    "saved and loaded": continues,
    "memory of a step": allocates_little,
    "coordinates in any order": same_in_any_order,
}


def check_rule(rule: Rule) -> dict[str, Outcome]:
    """What each of CHECKS finds; one that raises does not hold."""
    found = {}
    for name, check in CHECKS.items():
        try:
            found[name] = check(rule)
        except Exception as error:
            found[name] = Outcome(False, f"it raises {one_line(error)}")
    return found
