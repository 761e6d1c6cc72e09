"""Weights to evaluate with: running averages, and the way back from them."""

import numpy as np
import pytest

import minigrad
import optim
from minigrad import to_host
from optim import ClipNorm, ExponentialAverage, Groups, Lookahead, PolyakAverage
from tests.driving import (
    SIZE,
    assert_identical,
    both_dtypes,
    drive,
    end,
    feed,
    flat,
    start,
    tensors,
)
from tests.wrappers.cases import GRADS, ONE, adam, assert_same, averages, every_nesting


@both_dtypes
@pytest.mark.parametrize(
    "wrap",
    [
        lambda opt: ExponentialAverage(opt, 0.0),
        lambda opt: ExponentialAverage(opt, start=99),
        lambda opt: PolyakAverage(opt, start=99),
    ],
)
def test_an_average_without_memory_is_the_weights(wrap, dtype):
    rows = drive(adam(tensors(start(dtype))), GRADS)
    np.testing.assert_array_equal(averages(wrap(adam(tensors(start(dtype)))), GRADS), rows)


@both_dtypes
@pytest.mark.parametrize(
    "average",
    [
        lambda x: ExponentialAverage(adam(x)),
        lambda x: PolyakAverage(adam(x)),
        lambda x: Lookahead(adam(x), alpha=0.3),
        lambda x: optim.ASGD(x, t0=0, lambd=0.0),
    ],
    ids=("ema", "polyak", "lookahead", "asgd"),
)
def test_the_average_of_weights_that_stand_still_is_these(average, dtype):
    x0 = start(dtype)
    opt = average(tensors(x0))
    drive(opt, np.zeros((1000, SIZE)))
    with opt.averaged():
        np.testing.assert_array_equal(flat(opt.params), x0, strict=True)


def test_an_average_before_the_first_step_is_the_weights():
    for name in ("ema", "polyak", "lookahead"):
        opt = ONE[name](adam(tensors(start())))
        with opt.averaged():
            np.testing.assert_array_equal(flat(opt.params), start(), strict=True)


@every_nesting
def test_averaged_comes_back_bit_for_bit_even_from_an_exception(make):
    opt = make(tensors(start()))
    feed(opt.params, GRADS[0])
    opt.step()
    drive(opt, GRADS[1:8]) if not isinstance(opt, Groups) else None
    before, saved = end(opt), opt.state_dict()
    with pytest.raises(KeyError), opt.averaged():
        raise KeyError
    assert_identical(end(opt), before)
    assert_same(opt.state_dict(), saved)


def test_averaged_is_that_of_the_outermost_average():
    opt = ClipNorm(ExponentialAverage(PolyakAverage(adam(tensors(start()))), 0.5), 1e9)
    drive(opt, GRADS)
    with opt.averaged():
        np.testing.assert_array_equal(flat(opt.params), to_host(opt.average), strict=True)
        assert opt.average is opt.inner.average
    x = tensors(start())
    groups = Groups([ExponentialAverage(adam(part), 0.5) for part in (x[:1], x[1:])])
    groups.step()
    with groups.averaged():
        shown = [to_host(one.average) for one in groups]
        np.testing.assert_array_equal(flat(groups.params), np.concatenate(shown))


def test_graphs_from_before_averaging_are_refused():
    opt = ExponentialAverage(adam(tensors(start())))
    loss = (opt.params.tensors[1] ** 2).sum()
    with opt.averaged():
        inside = (opt.params.tensors[1] ** 2).sum()
        with pytest.raises(RuntimeError, match="changed after it was used"):
            loss.backward()
    with pytest.raises(RuntimeError, match="changed after it was used"):
        inside.backward()


def weights(n):
    """Those of so many steps of Adam, each in turn."""
    return drive(adam(tensors(start())), GRADS[:n])


def test_a_decay_may_be_a_schedule_of_what_was_taken_in():
    def decay(n):
        return min(0.9, (1 + n) / (10 + n))

    asked = []
    opt = ExponentialAverage(adam(tensors(start())), lambda n: asked.append(n) or decay(n))
    asked.clear()  # it was checked at 1
    expected, rows = start(), []
    for n, row in enumerate(weights(12), 1):
        expected = decay(n) * expected + (1 - decay(n)) * row
        rows.append(expected)
    np.testing.assert_allclose(averages(opt, GRADS), rows, rtol=0, atol=1e-14)
    assert asked == list(range(1, 13))
    assert opt.used == {**opt.inner.used, "decay": decay(12)}


@pytest.mark.parametrize("wrap", (ONE["accumulate"], lambda opt: Groups([opt])))
def test_it_is_asked_once_an_update_in_whatever_it_is_wrapped(wrap):
    asked = []
    inner = adam(tensors(start()), lr=lambda t: asked.append(("lr", t)) or 0.05)
    inner = optim.DecoupledDecay(inner, lambda t: asked.append(("weight_decay", t)) or 0.1)
    opt = wrap(ExponentialAverage(inner, lambda n: asked.append(("decay", n)) or 0.9))
    asked.clear()
    drive(opt, GRADS)
    names = ("lr", "weight_decay", "decay")
    assert sorted(asked) == sorted((name, t) for t in range(1, opt.t + 1) for name in names)


def test_a_decay_that_leaves_its_range_is_refused_before_anything_moves():
    opt = ExponentialAverage(adam(tensors(start())), lambda n: 0.9 if n < 3 else 1.5)
    drive(opt, GRADS[:2])
    before, saved = end(opt), opt.state_dict()
    with pytest.raises(ValueError, match=r"decay is 1.5 at step 3, outside \[0, 1\); mend the sch"):
        drive(opt, GRADS[2:3])
    assert_identical(end(opt), before)
    assert_same(opt.state_dict(), saved)


@pytest.mark.parametrize("start_, every", ((0, 1), (0, 3), (4, 1), (3, 2), (20, 1)))
def test_a_start_and_an_interval(start_, every):
    every_row = [start(), *weights(12)]
    taken = [n for n in range(start_ + 1, 13) if (n - start_) % every == 0]
    ema, polyak, rows = every_row[0], every_row[0], {"ema": [], "polyak": []}
    for n in range(1, 13):
        if n <= start_:
            ema = polyak = every_row[n]
        elif n in taken:
            ema = 0.8 * ema + 0.2 * every_row[n]
            polyak = np.mean([every_row[i] for i in taken if i <= n], axis=0)
        rows["ema"].append(ema)
        rows["polyak"].append(polyak)
    for name, make in (
        ("ema", lambda opt: ExponentialAverage(opt, 0.8, start=start_, every=every)),
        ("polyak", lambda opt: PolyakAverage(opt, start=start_, every=every)),
    ):
        got = averages(make(adam(tensors(start()))), GRADS)
        np.testing.assert_allclose(got, rows[name], rtol=0, atol=1e-14)


SETS = {
    "a box": optim.Box(0.1, 0.7),
    "a box for each": optim.Box(np.full(SIZE, 0.1), np.linspace(0.1, 0.7, SIZE)),
    "nonnegative": optim.NonNegative(),
    "a ball": optim.L2Ball(2.0),
    "a simplex": optim.Simplex(1.5),
    "an L1 ball": optim.L1Ball(2.0),
}
AVERAGES = {
    "ema": lambda opt: ExponentialAverage(opt, 0.3),
    "slow ema": lambda opt: ExponentialAverage(opt, 1 - 1e-9),
    "polyak": lambda opt: PolyakAverage(opt),
    "late polyak": lambda opt: PolyakAverage(opt, start=3, every=2),
    "lookahead": lambda opt: Lookahead(opt, k=2),
    "lookahead that stays": lambda opt: Lookahead(opt, k=2, alpha=0.0),
    "lookahead that almost stays": lambda opt: Lookahead(opt, k=1, alpha=1e-9),
    "lookahead that goes": lambda opt: Lookahead(opt, k=3, alpha=1.0),
    "two": lambda opt: ExponentialAverage(Lookahead(opt, k=2, alpha=0.9), 0.6),
}
INSIDE = {  # the rules that show others than the weights they train
    "schedule-free": lambda *given, **more: optim.ScheduleFreeSGD(*given, **more),
    "schedule-free AdamW": lambda *given, **more: optim.ScheduleFreeAdamW(*given, **more),
    "asgd": lambda *given, **more: optim.ASGD(*given, t0=3, **more),
}


def averaged_sgd(wrap):
    return lambda *given, **more: wrap(optim.SGD(*given, **more))


@both_dtypes
@pytest.mark.parametrize(
    "make", [*map(averaged_sgd, AVERAGES.values()), *INSIDE.values()], ids=[*AVERAGES, *INSIDE]
)
@pytest.mark.parametrize("feasible", SETS.values(), ids=SETS)
def test_every_point_that_is_shown_is_feasible(feasible, make, dtype):
    x0 = to_host(feasible.nearest(minigrad.xp.asarray(start(dtype))))
    opt = make(tensors(x0), lr=0.3, projection=feasible)
    tolerance = 0 if isinstance(feasible, optim.Box) else 20 * float(np.finfo(dtype).eps)
    rng = np.random.default_rng(3)
    for _ in range(40):
        row = drive(opt, rng.choice([-1, 0.1, 1], (1, SIZE)))[0]
        with opt.averaged():
            for x in (row, flat(opt.params)):
                nearest = to_host(feasible.nearest(minigrad.xp.asarray(x)))
                np.testing.assert_allclose(x, nearest, rtol=tolerance, atol=tolerance, strict=True)


def test_what_was_used_is_asked_of_a_wrapper_too():
    x = tensors(start())
    opt = ExponentialAverage(
        optim.DecoupledDecay(adam(x, lr=lambda t: 0.1 / t), lambda t: 0.2 / t), 0.5
    )
    assert opt.used == {}
    drive(opt, GRADS[:4])
    used = {"lr": 0.025, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.05, "decay": 0.5}
    assert opt.used == used
    opt.load_state_dict(opt.state_dict())
    assert opt.used == {}
    groups = ExponentialAverage(Groups([optim.SGD(tensors(start()))]))
    with pytest.raises(AttributeError, match=r"Groups has no used of its own; use groups\[i\]"):
        _ = groups.used
