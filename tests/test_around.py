"""Wrappers: what torch and optax do, what they have to do with one another, what they save."""

import copy
import gc
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from driving import (
    SIZE,
    assert_identical,
    cut_into,
    drive,
    end,
    feed,
    flat,
    gradients,
    host_only,
    start,
    tensors,
)

import minigrad
import optim
from minigrad import Parameters, Tensor, to_host
from models import MLP
from optim import (
    Accumulate,
    ClipNorm,
    ClipValue,
    DecoupledDecay,
    ExponentialAverage,
    Frozen,
    Groups,
    Lookahead,
    PolyakAverage,
)
from optim.engine.optimizer import Optimizer, inplace
from optim.schedules import InverseSqrt
from optim.wrappers.base import Wrapper

GRADS = gradients(12)
MASK = np.random.default_rng(5).random(SIZE) < 0.4
both_dtypes = pytest.mark.parametrize("dtype", ("float32", "float64"))

with np.load(Path(__file__).parent / "oracles" / "around.npz") as file:
    RECORDED = {name: file[name] for name in file.files}
X0, RECORDED_GRADS = RECORDED.pop("x0"), RECORDED.pop("grads")


def adam(x, **settings):
    return optim.Adam(x, **{"lr": 0.05, **settings})


def heavy_ball(x, lr=0.01):
    return optim.Momentum(x, lr=lr)


def strong(x):
    return adam(x, lr=0.1, betas=(0.5, 0.9), eps=1e-3)


def two_rules(x):
    return Groups([adam([x[0], x[2]]), heavy_ball([x[1], x[3]])])


def two_groups(x):
    return Groups.of(
        lambda part, weight_decay, **settings: DecoupledDecay(adam(part, **settings), weight_decay),
        [(x[2:], {"weight_decay": 0.2}), (x[:2], {"weight_decay": 0.0, "lr": 0.03})],
        lr=0.01,
    )


def frozen(inner):
    return Frozen(inner, ["params[1]", "params[3]"])


CASES = {  # of tests/record/around.py
    "adamw": lambda x: DecoupledDecay(adam(x, lr=1e-3), 0.01),
    "adamw strong": lambda x: DecoupledDecay(strong(x), 0.5),
    "adamw schedule": lambda x: DecoupledDecay(adam(x, lr=InverseSqrt(0.5)), 0.1),
    "clip value": lambda x: ClipValue(heavy_ball(x, 0.1), 0.5),
    "clip value adamw": lambda x: ClipValue(DecoupledDecay(adam(x, lr=0.1), 0.5), 0.5),
    "clip norm torch": lambda x: ClipNorm(heavy_ball(x, 1e-11), 2e9),
    "clip norm": lambda x: ClipNorm(heavy_ball(x), 20.0),
    "ema": lambda x: ExponentialAverage(heavy_ball(x), 0.9),
    "ema adamw": lambda x: ExponentialAverage(DecoupledDecay(adam(x, lr=0.1), 0.5), 0.99),
    "polyak": lambda x: PolyakAverage(optim.SGD(x, lr=0.01)),
    "polyak late": lambda x: PolyakAverage(heavy_ball(x), start=20),
    "lookahead": lambda x: Lookahead(adam(x)),
    "lookahead slow": lambda x: Lookahead(adam(x), k=5, alpha=0.5),
    "lookahead far": lambda x: Lookahead(heavy_ball(x), 3, 0.8),
    "accumulate": lambda x: Accumulate(adam(x), 4),
    "accumulate, then clip": lambda x: Accumulate(ClipNorm(optim.SGD(x, lr=0.1), 5.0), 4),
    "clip, then accumulate": lambda x: ClipNorm(Accumulate(optim.SGD(x, lr=0.1), 4), 5.0),
    "two rules": two_rules,
    "frozen": lambda x: frozen(adam(x)),
    "frozen, then clip": lambda x: frozen(ClipNorm(adam(x), 5.0)),
    "clip, then frozen": lambda x: ClipNorm(frozen(optim.SGD(x, lr=0.1)), 5.0),
    "two groups": two_groups,
    "clip two groups": lambda x: ClipNorm(two_groups(x), 2e9),
}
AVERAGED = {"ema", "ema adamw", "polyak", "polyak late", "lookahead slow"}
HUGE = {"clip norm torch", "clip two groups"}

ONE = {  # every wrapper
    "clip value": lambda opt: ClipValue(opt, 1.0),
    "clip norm": lambda opt: ClipNorm(opt, 3.0),
    "accumulate": lambda opt: Accumulate(opt, 3),
    "decay": lambda opt: DecoupledDecay(opt, 0.3),
    "frozen": lambda opt: Frozen(opt, MASK),
    "ema": lambda opt: ExponentialAverage(opt, 0.8),
    "polyak": lambda opt: PolyakAverage(opt, start=2),
    "lookahead": lambda opt: Lookahead(opt, k=3, alpha=0.3),
}
every_wrapper = pytest.mark.parametrize("wrap", ONE.values(), ids=ONE)
NESTED = {  # every wrapper in every other, and a tower
    **{f"{a}({b})": lambda x, a=a, b=b: ONE[a](ONE[b](adam(x))) for a in ONE for b in ONE},
    "groups": lambda x: Groups([ONE["lookahead"](adam(x[:2])), ONE["accumulate"](adam(x[2:]))]),
    "around groups": lambda x: ONE["ema"](ONE["clip norm"](two_groups(x))),
    "tower": lambda x: ONE["ema"](
        ONE["frozen"](ONE["clip norm"](ONE["accumulate"](ONE["lookahead"](ONE["decay"](adam(x))))))
    ),
}
every_nesting = pytest.mark.parametrize("make", NESTED.values(), ids=NESTED)


class TwoLooks(Optimizer):
    """Steps from the gradient where the first one leads, as extragradient does."""

    lr: float = 0.1
    needs_closure = True

    def step(self, closure=None):
        loss = closure()
        before = [span.data.copy() for span in self.params.spans]
        self.advance()
        closure()
        for span, data in zip(self.params.spans, before, strict=True):
            span.data[...] = data
        self.advance()
        return loss

    @inplace
    def kernel(p, g, *, lr):
        p -= lr * g


del optim.RULES["twolooks"]  # it is nobody else's business


def averages(opt, grads):
    """The parameters to evaluate with after every step."""
    rows = []
    for g in grads:
        drive(opt, [g])
        with opt.averaged():
            rows.append(flat(opt.params))
    return np.array(rows)


@pytest.mark.parametrize("name", RECORDED)
def test_follows_the_recorded_implementation(name):
    grads = RECORDED_GRADS * (1e8 if name in HUGE else 1)
    x = tensors(X0)
    opt = CASES[name](x)
    rows = []
    for g in grads:
        feed(x, g)
        opt.step()
        if name in AVERAGED:
            with opt.averaged():
                rows.append(flat(x))
        else:
            rows.append(flat(x))
    expected = RECORDED[name]
    assert np.max(np.abs(rows - expected) / np.maximum(1, np.abs(expected))) <= 1e-12


def test_every_case_is_recorded_and_every_wrapper_has_one():
    assert CASES.keys() == RECORDED.keys()
    opts = [make(tensors(X0)) for make in CASES.values()] + [two_rules(tensors(X0))]
    seen = set()
    for opt in opts:
        while isinstance(opt, Wrapper):
            seen.add(type(opt))
            opt = opt.inner
    assert seen == {type(wrap(adam(tensors(X0)))) for wrap in ONE.values()}


# What they have to do with one another


@both_dtypes
@pytest.mark.parametrize(
    "wrap",
    [
        lambda opt: Lookahead(opt, k=1, alpha=1),
        lambda opt: Lookahead(opt, k=4, alpha=1.0),
        lambda opt: Lookahead(opt, k=100),
        lambda opt: ClipNorm(opt, np.inf),
        lambda opt: ClipValue(opt, np.inf),
        lambda opt: ClipNorm(opt, 1e5),
        lambda opt: Accumulate(opt, 1),
        lambda opt: DecoupledDecay(opt, 0.0),
        lambda opt: Frozen(opt, np.zeros(SIZE, bool)),
        lambda opt: Frozen(opt, []),
        lambda opt: ExponentialAverage(opt),
        lambda opt: PolyakAverage(opt),
        lambda opt: Groups([opt]),
    ],
)
def test_what_does_nothing_is_the_inner(wrap, dtype):
    inner, opt = adam(tensors(start(dtype))), wrap(adam(tensors(start(dtype))))
    np.testing.assert_array_equal(drive(opt, GRADS), drive(inner, GRADS), strict=True)
    assert opt.t == inner.t == len(GRADS)
    np.testing.assert_array_equal(to_host(opt.metric()), to_host(inner.metric()))


@both_dtypes
@pytest.mark.parametrize(
    "wrap", [lambda opt: ExponentialAverage(opt, 0.0), lambda opt: PolyakAverage(opt, start=99)]
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


def test_accumulated_gradients_are_those_of_a_large_batch():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(12, 4)), rng.integers(0, 2, 12)
    ends = []
    for parts in (1, 4):
        model = MLP((4, 3, 2), rng=0, dtype="float64")
        inner = adam(model.parameters())
        opt = inner if parts == 1 else Accumulate(inner, parts)
        for _ in range(5):
            opt.zero_grad()
            losses = []
            for part in np.split(np.arange(12), parts):  # and no zero_grad in between
                losses.append(model.loss(x[part], y[part]))
                losses[-1].backward()
                opt.step()
        assert opt.t == 5
        ends.append(flat(model.parameters()))
    np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=1e-14)


def test_zero_grad_between_accumulated_steps_changes_nothing():
    ends = []
    for zero in (True, False):
        opt = Accumulate(adam(tensors(start())), 3)
        for g in GRADS:
            for tensor, part in zip(opt.params, np.split(g, [1, 4, 24]), strict=True):
                (tensor * Tensor(part.reshape(tensor.shape))).sum().backward()
            opt.step()
            if zero or opt.count == 0:
                opt.zero_grad()
        ends.append(end(opt))
    assert_identical(ends[0], ends[1])


@pytest.mark.parametrize("name", ("decay", "ema", "polyak", "lookahead"))
def test_accumulating_inside_or_outside_is_the_same(name):
    inside = ONE[name](Accumulate(adam(tensors(start())), 3))
    outside = Accumulate(ONE[name](adam(tensors(start()))), 3)
    np.testing.assert_array_equal(drive(inside, GRADS), drive(outside, GRADS))
    np.testing.assert_array_equal(averages(inside, GRADS), averages(outside, GRADS))
    assert inside.t == outside.t == 2 * len(GRADS) // 3
    twice = ONE[name](Accumulate(Accumulate(adam(tensors(start())), 3), 2))
    once = ONE[name](Accumulate(adam(tensors(start())), 6))
    np.testing.assert_allclose(averages(twice, GRADS), averages(once, GRADS), atol=1e-14)


@both_dtypes
@every_wrapper
def test_a_closure_or_none_is_the_same(wrap, dtype):
    first, second = (wrap(adam(tensors(start(dtype)))) for _ in range(2))
    calls = []
    for g in GRADS:
        drive(first, [g])

        def closure(g=g):
            calls.append(second.t)
            second.zero_grad()
            feed(second.params, g)
            return Tensor(float(len(calls)))

        assert second.step(closure).item() == len(calls)
    assert len(calls) == len(GRADS)
    assert_identical(end(first), end(second))


def test_a_rule_that_calls_its_closure_twice_has_every_gradient_edited():
    clipped = ClipValue(TwoLooks(tensors(start()), lr=0.5), 0.25)
    fixed = Frozen(Lookahead(TwoLooks(tensors(start())), k=1), MASK)
    calls = []
    for opt in (clipped, fixed):

        def closure(opt=opt):
            calls.append(opt)
            feed(opt.params, np.full(SIZE, 9.0))
            return Tensor(0.0)

        opt.step(closure)
    assert len(calls) == 4
    np.testing.assert_array_equal(flat(clipped.params), start() - 0.125)
    moved = start() - np.where(MASK, 0, 0.45)  # half-way
    np.testing.assert_allclose(flat(fixed.params), moved, rtol=0, atol=1e-15)
    for wrap in (ONE["accumulate"], ONE["decay"], lambda opt: Groups([opt])):
        with pytest.raises(TypeError, match=r"steps from gradients, but TwoLooks\(lr=0.1\)"):
            wrap(TwoLooks(tensors(start())))


def test_clipped_gradients_have_the_norm_that_was_asked_for():
    opt = ClipNorm(two_groups(tensors(start())), 2.0)
    feed(opt.params, GRADS[0])
    opt.step()
    g = np.concatenate([to_host(t.grad).ravel() for t in opt.params])
    np.testing.assert_allclose(np.linalg.norm(g), 2.0, rtol=1e-14)
    np.testing.assert_allclose(g / 2, GRADS[0] / np.linalg.norm(GRADS[0]), rtol=1e-13)
    opt.zero_grad()
    opt.step()
    assert all(not np.any(to_host(t.grad)) for t in opt.params)


def test_a_norm_beyond_the_dtype_is_clipped_all_the_same():
    opt = ClipNorm(optim.SGD(tensors(start("float32")), lr=1.0), 1.0)
    before = flat(opt.params)
    drive(opt, [np.full(SIZE, 1e30)])
    np.testing.assert_allclose(before - flat(opt.params), np.full(SIZE, SIZE**-0.5), rtol=1e-5)


@host_only
def test_infinite_gradients_are_reported_not_made_nan():
    opt = ClipNorm(adam(tensors(start("float32"))), 1.0)
    g = np.ones(SIZE)
    g[7] = np.inf
    feed(opt.params, g)
    with pytest.raises(FloatingPointError, match=r"ClipNorm\(inner=Adam.*norm=1.0\) at step 1"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params), start("float32"))


@pytest.mark.parametrize("mask", (MASK, ["params[1]", "params[2]"]), ids=("bools", "names"))
@pytest.mark.parametrize(
    "wrap",
    [
        lambda opt, mask: Frozen(opt, mask),
        lambda opt, mask: Frozen(DecoupledDecay(opt, 0.5), mask),
        lambda opt, mask: Frozen(Lookahead(opt, 2), mask),
    ],
)
def test_the_frozen_stay_bit_for_bit_and_the_rest_does_not_notice(wrap, mask):
    where = MASK if mask is MASK else np.isin(np.arange(SIZE), np.arange(1, 24))
    for rule in (heavy_ball, adam):
        inner = rule(tensors(start()))
        drive(inner, GRADS)  # momentum that would move them
        opt = wrap(inner, mask)
        before, mean = end(opt), flat(opt.params)
        drive(opt, GRADS)
        assert before["p"][where].tobytes() == flat(opt.params)[where].tobytes()
        assert np.all(flat(opt.params)[~where] != mean[~where])
    free = adam(tensors(start()))
    fixed = Frozen(adam(tensors(start())), mask)
    np.testing.assert_array_equal(drive(fixed, GRADS)[:, ~where], drive(free, GRADS)[:, ~where])
    assert not np.any(to_host(fixed.state["m"])[where])


@pytest.mark.parametrize("mask", (MASK, ["params[1]"]), ids=("bools", "names"))
def test_the_frozen_stay_in_an_average(mask):
    x = tensors(start())
    opt = Frozen(ExponentialAverage(adam(x), 0.9), mask)
    for one in x:
        one.data = one.data + 1  # after the average began
    drive(opt, GRADS)
    before = flat(x)
    left = MASK if mask is MASK else np.repeat([False, True, False, False], [1, 3, 20, 24])
    with opt.averaged():
        inside = flat(x)
    np.testing.assert_array_equal(inside[left], start()[left] + 1)
    assert np.all(inside[~left] != before[~left])
    np.testing.assert_array_equal(flat(x), before)


def test_the_frozen_are_restored_when_the_inner_fails():
    opt = Frozen(adam(tensors(start()), projection=optim.Box(-0.1, 0.1)), MASK)
    drive(opt, GRADS[:1])
    opt.lr = lambda t: 0.05 if t == 1 else np.nan
    with pytest.raises(ValueError, match="NaN"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params)[MASK], start()[MASK])


def test_decay_follows_the_rate_of_each_coordinate_and_step():
    rates = 10 ** np.random.default_rng(3).uniform(-2, -1, SIZE)
    x = tensors(start())
    Parameters.of(x)
    sgd = optim.SGD([x[2], x[0], x[3], x[1]], lr=lambda t: rates / t)  # four runs
    opt = DecoupledDecay(sgd, lambda t: 0.1 * t)
    before = flat(opt.params)
    rows = drive(opt, np.zeros((3, SIZE)))
    np.testing.assert_allclose(rows[-1], before * (1 - 0.1 * rates) ** 3, rtol=1e-14)
    opt.weight_decay = np.full(SIZE, 0.5)
    opt.lr = 0.5
    np.testing.assert_array_equal(drive(opt, np.zeros((1, SIZE)))[0], rows[-1] * 0.75)


def test_a_decay_that_turns_nan_is_refused_before_anything_moves():
    opt = DecoupledDecay(adam(tensors(start())), lambda t: 0.1 if t == 1 else np.nan)
    rows = drive(opt, GRADS[:1])
    with pytest.raises(ValueError, match="weight_decay is NaN at step 2"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params), rows[0])


def test_gradients_of_an_update_that_was_refused_stay_accumulated():
    opt, twin = (Accumulate(adam(tensors(start())), every) for every in (3, 4))
    drive(opt, GRADS[:2])
    weight = opt.params.tensors[1]
    weight.requires_grad = False
    feed(opt.params, GRADS[2])
    with pytest.raises(RuntimeError, match="was frozen"):
        opt.step()
    weight.requires_grad = True
    np.testing.assert_array_equal(drive(opt, GRADS[3:4])[-1], drive(twin, GRADS[:4])[-1])
    assert opt.t == 1 and opt.count == 0


def test_weights_that_decayed_before_the_inner_failed_are_noticed():
    beta = 0.9
    opt = DecoupledDecay(adam(tensors(start()), betas=(lambda t: beta, 0.99)), 0.1)
    loss = (opt.params.tensors[1] ** 2).sum()
    beta = np.nan
    with pytest.raises(ValueError, match="NaN"):
        opt.step()
    with pytest.raises(RuntimeError, match="changed after it was used"):
        loss.backward()


@every_wrapper
def test_gradients_that_nobody_looked_at_are_zero_all_the_same(wrap):
    # zero_grad leaves the memory as it was where nobody holds the array
    ends = []
    for look in (False, True):
        x = tensors(start())
        opt = wrap(adam(x))
        if look:
            assert all(t.grad is not None for t in x)
        for t, g in zip([*x, *x], GRADS, strict=False):
            feed(x, g)
            opt.step()
            opt.zero_grad()
            (t * 7.0).sum().backward()
            opt.step()
        ends.append(end(opt))
    assert_identical(ends[0], ends[1])


# Averages


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


# As an optimizer


def assert_same(got, expected):
    """Nested dictionaries with the same leaves, bit for bit."""
    assert type(got) is type(expected)
    if isinstance(got, dict):
        assert got.keys() == expected.keys()
        for key in got:
            assert_same(got[key], expected[key])
    elif hasattr(got, "dtype"):
        np.testing.assert_array_equal(got, expected, strict=True)
    else:
        assert got == expected


@both_dtypes
@every_nesting
def test_any_nesting_continues_bit_for_bit(make, dtype, tmp_path):
    opt = make(tensors(start(dtype)))
    drive(opt, GRADS[:7])  # in the midst of accumulating, and of Lookahead's k
    minigrad.save(tmp_path / "state.npz", params=opt.params, opt=opt)
    rows, means = drive(opt, GRADS[7:]), averages(opt, GRADS)
    fresh = make(tensors(np.zeros(SIZE, dtype)))
    saved = minigrad.load(tmp_path / "state.npz")
    fresh.params.load_state_dict(saved["params"])
    fresh.load_state_dict(saved["opt"])
    np.testing.assert_array_equal(drive(fresh, GRADS[7:]), rows, strict=True)
    np.testing.assert_array_equal(averages(fresh, GRADS), means, strict=True)
    assert fresh.t == opt.t and str(rows.dtype) == dtype
    assert_same(fresh.state_dict(), opt.state_dict())


@every_nesting
def test_blocks_and_runs_change_nothing(make, monkeypatch):
    rows = drive(make(tensors(start())), GRADS)
    cut_into(monkeypatch, 64)
    x = tensors(start())
    filler = Tensor(np.ones(3), requires_grad=True)
    Parameters.of([x[0], filler, *x[1:]])  # one arena, two runs
    np.testing.assert_allclose(drive(make(x), GRADS), rows, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(filler.numpy(), np.ones(3))


def nested():
    return ONE["ema"](ONE["lookahead"](ONE["decay"](adam(tensors(start())))))


UNFIT = {
    "another wrapper": (
        lambda s: s | {"rule": "Lookahead"},
        "Lookahead, not of ExponentialAverage",
    ),
    "the inner alone": (lambda s: s["inner"], "Lookahead, not of ExponentialAverage"),
    "a rule's": (lambda s: s["inner"]["inner"]["inner"], r"ExponentialAverage lacks \['count'"),
    "no inner": (lambda s: {k: v for k, v in s.items() if k != "inner"}, r"lacks \['inner'\]"),
    "no array": (
        lambda s: s | {"state": {}},
        r"ExponentialAverage lacks \['average'\] and has \[\]",
    ),
    "an array more": (
        lambda s: s | {"state": s["state"] | {"u": np.zeros(2)}},
        r"lacks \[\] and has \['u'\]",
    ),
    "a shorter array": (
        lambda s: s | {"state": {"average": np.zeros(SIZE - 1)}},
        r"'average' of ExponentialAverage.*48.*47",
    ),
    "another dtype": (
        lambda s: s | {"state": {"average": np.zeros(SIZE, "float32")}},
        "'average'.*float64.*float32",
    ),
    "unfit inside": (
        lambda s: s | {"inner": s["inner"] | {"state": {}}},
        r"Lookahead lacks \['average'\]",
    ),
    "unfit innermost": (
        lambda s: (
            s | {"inner": s["inner"] | {"inner": s["inner"]["inner"] | {"inner": {"rule": "Adam"}}}}
        ),
        r"lacks \['shapes', 't', 'running'",
    ),
}


@pytest.mark.parametrize("damage, said", UNFIT.values(), ids=UNFIT)
def test_a_state_that_does_not_fit_changes_nothing(damage, said):
    opt, other = nested(), nested()
    drive(opt, GRADS[:4])
    drive(other, GRADS[4:9])
    before, saved = end(opt), opt.state_dict()
    with pytest.raises(ValueError, match=said):
        opt.load_state_dict(damage(other.state_dict()))
    assert_identical(end(opt), before)
    assert_same(opt.state_dict(), saved)


def test_groups_load_all_or_none():
    opt, other = two_groups(tensors(start())), two_groups(tensors(start()))
    drive(opt, GRADS[:3])
    drive(other, GRADS[3:8])
    before = opt.state_dict()
    good = other.state_dict()
    for groups, said in (
        ({"0": good["groups"]["0"]}, r"groups \['0'\], not \['0', '1'\]"),
        (good["groups"] | {"1": good["groups"]["0"]}, "state 'm' of Adam is float64"),
    ):
        with pytest.raises(ValueError, match=said):
            opt.load_state_dict(good | {"groups": groups})
        assert_same(opt.state_dict(), before)
    opt.load_state_dict(good)
    assert_same(opt.state_dict(), good)


def test_a_saved_state_is_a_copy():
    opt = ONE["accumulate"](nested())
    drive(opt, GRADS[:4])
    saved = opt.state_dict()
    before = copy.deepcopy(saved)
    drive(opt, GRADS)
    assert_same(saved, before)
    opt.load_state_dict(saved)
    drive(opt, GRADS)  # nor do steps after loading write to it
    assert_same(saved, before)


@every_nesting
def test_settings_are_read_and_set_through_every_layer(make):
    opt = make(tensors(start()))
    if isinstance(opt, Groups) or "Groups" in repr(opt):
        for act in (lambda: opt.lr, lambda: setattr(opt, "lr", 0.5)):
            with pytest.raises(AttributeError, match=r"Groups has no lr of its own; use groups\[i"):
                act()
        return
    rule = opt
    while isinstance(rule, Wrapper):
        rule = rule.inner
    assert opt.lr == 0.05 and opt.params is rule.params and opt.state is rule.state
    opt.lr, opt.betas = 0.25, (0.5, 0.5)
    assert rule.lr == opt.lr == 0.25 and rule.betas == (0.5, 0.5) and "lr" not in vars(opt)
    with pytest.raises(ValueError, match="lr=-1"):
        opt.lr = -1
    with pytest.raises(AttributeError, match="learning_rate"):
        opt.learning_rate = 1
    with pytest.raises(AttributeError, match="inner is fixed"):
        opt.inner = rule
    assert repr(rule) in repr(opt)


def test_own_settings_go_before_those_of_the_inner():
    opt = Lookahead(optim.RMSProp(tensors(start())), alpha=0.25)
    opt.alpha = 0.75
    assert (opt.alpha, opt.inner.alpha) == (0.75, 0.99)


def test_groups_are_one_optimizer():
    x = tensors(start())
    opt = two_groups(x)
    assert len(opt) == 2 and opt[1].lr == 0.03 and opt.params.size == SIZE
    assert opt.params.names == ("0.params[0]", "0.params[1]", "1.params[0]", "1.params[1]")
    assert list(opt.state) == ["0.m", "0.v", "1.m", "1.v"]
    calls = []

    def closure():
        calls.append(opt.zero_grad())
        loss = sum(((t * t).sum() for t in x), Tensor(0.0, dtype="float64"))
        loss.backward()
        return loss

    np.testing.assert_allclose(opt.step(closure).item(), start() @ start(), rtol=1e-14)
    assert len(calls) == 1 and opt.t == 1 and to_host(opt.metric()).shape == (SIZE,)
    opt[0].lr = 0.5
    assert opt[0].inner.lr == 0.5 and opt[1].lr == 0.03


def test_groups_may_be_out_of_step():
    slow, fast = heavy_ball(tensors(start())), heavy_ball(tensors(start()))
    opt = ExponentialAverage(Groups([Accumulate(slow, 4), fast]), 0.5)
    expected = np.tile(start(), 2)
    for g in GRADS[:6]:
        drive(opt, [np.tile(g, 2)])
        expected = (expected + flat(opt.params)) / 2
    np.testing.assert_allclose(to_host(opt.average), expected, rtol=0, atol=1e-14)
    assert (slow.t, fast.t, opt.t) == (1, 6, 6)


@pytest.mark.parametrize("name", optim.RULES)
def test_every_rule_may_be_wrapped(name):
    def build(x0):
        return ONE["ema"](ONE["clip norm"](ONE["lookahead"](optim.make(name, tensors(x0)))))

    def advance(opt, steps):
        for _ in range(steps):

            def closure():
                opt.zero_grad()
                loss = sum(((t * t).sum() for t in opt.params), Tensor(0.0, dtype="float64"))
                loss.backward()
                return loss

            opt.step(closure)

    opt = build(start())
    advance(opt, 8)
    fresh = build(np.zeros(SIZE))
    fresh.params.load_state_dict(opt.params.state_dict())
    fresh.load_state_dict(opt.state_dict())
    advance(opt, 4)
    advance(fresh, 4)
    assert_identical(end(fresh), end(opt))
    assert_same(fresh.state_dict(), opt.state_dict())
    assert np.any(flat(opt.params) != start())


def adam_(**settings):
    return adam(tensors(start()), **settings)


@pytest.mark.parametrize(
    "build, error, said",
    [
        (lambda: Lookahead([]), TypeError, r"inner of Lookahead is \[\], not an optimizer; build"),
        (lambda: Lookahead(optim.Adam), TypeError, "inner of Lookahead is <class"),
        (lambda: Groups([3]), TypeError, r"groups\[0\] is 3, not an optimizer"),
        (lambda: Groups([]), ValueError, "no parameters"),
        (lambda: Groups([a := adam_(), a]), ValueError, r"1.params\[0\] is the same tensor as 0"),
        (lambda: Lookahead(adam_(), k=0), ValueError, "k=0: give a whole number from 1"),
        (lambda: Lookahead(adam_(), k=2.5), TypeError, r"k=2.5: give a whole number"),
        (
            lambda: Lookahead(adam_(), alpha=1.5),
            ValueError,
            r"alpha=1.5: give .* in \[0, 1\]",
        ),
        (lambda: Lookahead(adam_(), alpha="1"), TypeError, "alpha='1': give a number"),
        (lambda: ExponentialAverage(adam_(), 1.0), ValueError, r"decay=1.0: .* in \[0, 1\)"),
        (lambda: ExponentialAverage(adam_(), -0.1), ValueError, "decay=-0.1"),
        (lambda: ExponentialAverage(adam_(), np.nan), ValueError, "decay=nan"),
        (lambda: PolyakAverage(adam_(), -1), ValueError, "start=-1: give a whole number from 0"),
        (lambda: ClipNorm(adam_(), 0.0), ValueError, "norm=0.0: give a number above 0"),
        (lambda: ClipValue(adam_(), -1), ValueError, "value=-1: give"),
        (lambda: Accumulate(adam_(), 0), ValueError, "every=0: give a whole number from 1"),
        (lambda: DecoupledDecay(adam_(), -0.1), ValueError, "weight_decay=-0.1"),
        (lambda: DecoupledDecay(adam_(), np.ones(3)), ValueError, r"weight_decay .* \(3,\).* 48"),
        (
            lambda: DecoupledDecay(two_groups(tensors(start())), 0.1),
            TypeError,
            r"inner=Groups\(.* has no lr of its own",
        ),
        (lambda: Frozen(adam_(), MASK[:5]), ValueError, r"mask is of shape \(5,\); .* 48 bools"),
        (lambda: Frozen(adam_(), np.ones(SIZE)), TypeError, "mask=array.*: give names"),
        (lambda: Frozen(adam_(), "params[1]"), TypeError, r"mask='params\[1\]': give names"),
        (lambda: Frozen(adam_(), ["param[1]"]), ValueError, r"'param\[1\]', .* mean 'params\[1\]'"),
        (lambda: setattr(Lookahead(adam_()), "k", -2), ValueError, "k=-2"),
        (lambda: setattr(Frozen(adam_(), MASK), "mask", MASK), AttributeError, "mask is fixed"),
    ],
)
def test_misuse_says_what_and_how_to_mend_it(build, error, said):
    with pytest.raises(error, match=said):
        build()


@every_wrapper
def test_a_decayed_or_restored_weight_is_noticed(wrap):
    opt = wrap(adam(tensors(start())))
    for g in GRADS[:3]:  # the third of which updates, also when accumulating
        loss = (opt.params.tensors[1] ** 2).sum()
        before = flat(opt.params)
        drive(opt, [g])
        if np.any(flat(opt.params) != before):
            with pytest.raises(RuntimeError, match="changed after it was used"):
                loss.backward()


@every_wrapper
def test_a_wrapper_keeps_its_inner_and_lets_go_of_the_parameters(wrap):
    x = tensors(start())
    gc.disable()
    try:
        opt = wrap(adam(x))
        drive(opt, GRADS[:2])
        with pytest.raises(ValueError, match="updated by Adam already"):
            adam(x)
        del opt
        adam(x)
    finally:
        gc.enable()


@every_wrapper
@host_only
def test_a_step_allocates_nothing_that_grows_with_the_parameters(wrap):
    x = [Tensor(np.ones(2**20, np.float32), requires_grad=True) for _ in range(5)]
    Parameters.of(x)
    inner = optim.SGD(x[:2] + x[3:])  # two runs
    opt = Frozen(inner, ["params[1]"]) if wrap is ONE["frozen"] else wrap(inner)
    for t in inner.params:
        t.grad.fill(0.5)
    tracemalloc.start()
    try:
        for _ in range(3):
            opt.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6  # one array of the size of the parameters has 17e6


def test_a_schedule_of_the_wrapper_continues():
    def build(x0):
        decay = optim.schedules.ReduceOnPlateau(0.5, patience=0)
        inner = optim.SGD(tensors(x0), lr=optim.schedules.ReduceOnPlateau(0.1, patience=0))
        return optim.DecoupledDecay(inner, weight_decay=decay)

    opt, g = build(start()), gradients(4)
    drive(opt, g[:2])
    for loss in (1.0, 2.0):
        opt.weight_decay.feed(loss)
    saved, x = opt.state_dict(), flat(opt.params)
    fresh = build(x)
    fresh.load_state_dict(saved)
    assert fresh.weight_decay(1) == opt.weight_decay(1) == 0.05 and fresh.lr(1) == 0.1
    np.testing.assert_array_equal(drive(fresh, g[2:]), drive(opt, g[2:]))
    other = build(x)
    with pytest.raises(ValueError, match="AdaGrad"):
        other.load_state_dict({**saved, "inner": {**saved["inner"], "rule": "AdaGrad"}})
    assert other.weight_decay(1) == 0.5
    with pytest.raises(ValueError, match="weight_decay"):
        other.load_state_dict({**saved, "schedules": {}})
