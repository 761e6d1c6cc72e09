"""How coordinates lie in tensors, runs, blocks and sweeps changes nothing, for every rule."""

import numpy as np
import pytest

import optim
from minigrad import Parameters, to_host
from optim import Box, check
from optim.engine.kinds import kinds
from optim.engine.passes import FlatPass
from optim.schedules import Constant, Exponential
from tests.driving import (
    SIZE,
    assert_identical,
    both_dtypes,
    cut_into,
    drive,
    end,
    feed,
    gradients,
    map_leaves,
    start,
    tensors,
)
from tests.rules.table import TABLE, every_elementwise_rule, every_flat_rule, every_rule

GRADS = gradients(6)
RATES = 10 ** np.random.default_rng(3).uniform(-2, -1, SIZE)
NUMBERS, BOX = Box(-0.6, 0.9), Box(-RATES * 20, RATES * 15)
TENSORS = np.split(np.arange(SIZE), [1, 4, 24])  # the coordinates of each of driving.SHAPES


@every_flat_rule
@both_dtypes
@pytest.mark.parametrize("box", (None, NUMBERS, BOX), ids=("free", "box", "array box"))
def test_blocks(rule, dtype, box):
    for size in (1, 7, 8, 9, 16, 17, 41):  # 64 bytes are 8 of float64 and 16 of float32
        if box is not None and box is not NUMBERS:
            box = Box(BOX.lo[:size], BOX.hi[:size])
        lr = RATES[:size] if TABLE[rule].elementwise else 0.03
        outcome = check.same_in_blocks(rule, dtype, size, lr=Exponential(lr, 0.9), projection=box)
        assert outcome.holds, outcome


def whole(rule, dtype):
    """One optimizer of one tensor in one block."""
    opt = rule(tensors(start(dtype), [(SIZE,)]), lr=Exponential(RATES, 0.9), projection=BOX)
    drive(opt, GRADS)
    return end(opt)


@every_elementwise_rule
@both_dtypes
@pytest.mark.parametrize(
    "owners",
    [
        [[0, 1, 2, 3]],
        [[3, 2, 1, 0]],
        [[2, 0, 1, 3]],
        [[0, 2], [1, 3]],  # each owns parts that are not neighbours
        [[1], [3, 0], [2]],
    ],
    ids=str,
)
def test_tensors_runs_and_owners(rule, dtype, owners, monkeypatch):
    expected = whole(rule, dtype)
    cut_into(monkeypatch, 64)
    x = tensors(start(dtype))
    Parameters.of(x)  # one arena, whoever owns its parts
    opts = []
    for owned in owners:
        where = np.concatenate([TENSORS[i] for i in owned])
        settings = {"lr": Exponential(RATES[where], 0.9)}
        settings["projection"] = Box(BOX.lo[where], BOX.hi[where])
        opts.append((where, rule([x[i] for i in owned], **settings)))
    for g in GRADS:
        for where, opt in opts:
            feed(opt.params, g[where])
        for _, opt in opts:
            opt.step()
    got = {name: np.full_like(array, np.nan) for name, array in expected.items()}
    for where, opt in opts:
        for name, array in end(opt).items():
            if array.ndim:
                got[name][where] = array
            else:  # a number, the same whatever an optimizer owns
                assert_identical({name: array}, {name: expected[name]})
                got[name] = array
    assert_identical(got, expected)


@every_elementwise_rule
@pytest.mark.parametrize("shapes", ([(1,)] * SIZE, [(0,), (20,), (0, 3), (28,), (2, 0)]))
def test_single_and_empty_tensors(rule, shapes):
    opt = rule(tensors(start(), shapes), lr=Exponential(RATES, 0.9), projection=BOX)
    drive(opt, GRADS)
    assert_identical(end(opt), whole(rule, "float64"))


@every_rule
@pytest.mark.parametrize("block_bytes", (None, 64))
def test_nothing_to_update(rule, block_bytes, monkeypatch):
    cut_into(monkeypatch, block_bytes)
    opt = rule(tensors(np.zeros(0), [(0, 3)]), projection=NUMBERS)
    opt.step()
    assert {array.shape for array in end(opt).values()} <= {(0,), ()}


PAIRS = {  # two values of each hyperparameter that may be an array
    "trust_coefficient": (1e-3, 0.1),
    "decay_rate": (0.8, 0.5),
    "min_scale": (1e-3, 10.0),
    "d": (1.0, 0.1),
    "lr": (0.1, 0.03),
    "d0": (1e-6, 1e-3),
    "r_eps": (1e-6, 1e-3),
    "betas": ((0.9, 0.99, 0.999), (0.5, 0.9, 0.8)),
    "momentum": (0.9, 0.5),
    "beta1": (0.9, 0.5),
    "alpha": (0.99, 0.7),
    "rho": (0.995, 0.9),
    "weight_decay": (0.1, 0.01),
    "momentum_decay": (0.004, 0.1),
    "final_lr": (0.1, 0.5),
    "gamma": (1e-3, 0.1),
    "partial": (0.125, 0.5),
    "nus": ((0.7, 1.0), (0.5, 0.9)),
    "nu": (0.7, 0.2),
    "lambd": (1e-4, 0.1),
    "t0": (3, 1),
    "etas": ((0.5, 1.4), (0.3, 1.5)),  # which fall, and stay above 1
    "step_sizes": ((1e-6, 50.0), (1e-2, 0.1)),
    "l1": (0.3, 0.1),
    "l2": (0.5, 0.1),
}


def pair(rule, name):
    """Two values of a hyperparameter, of as many parts as it has."""
    default = rule.hyperparameters()[name]
    return [v[: len(default)] if isinstance(default, tuple) else v for v in PAIRS[name]]


def kinds_of(rule, name):
    """The kind of each part of a hyperparameter."""
    kind = kinds(rule)[name]
    return kind if isinstance(kind, tuple) else (kind,)


def spread(array, size):
    """A number as one value per coordinate, as which a sweep has it."""
    return array if array.ndim else np.full(size, array)


SCHEDULES = {
    "an array": lambda value: value,
    "a constant array": Constant,
    "a decaying array": lambda value: Exponential(value, 0.97),
}


@every_elementwise_rule
@both_dtypes
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_sweep_is_as_many_runs(rule, dtype, schedule, monkeypatch):
    cut_into(monkeypatch, 64)
    first = np.arange(SIZE) % 3 > 0
    names = [name for name in rule.hyperparameters() if name != "eps"]
    assert all(kind.array for name in names for kind in kinds_of(rule, name))
    for name in names:
        a, b = pair(rule, name)
        if isinstance(a, tuple):
            both = tuple(np.where(first, *parts) for parts in zip(a, b, strict=True))
        else:
            both = np.where(first, a, b)
        sweep = rule(tensors(start(dtype)), **{name: map_leaves(schedule, both)})
        drive(sweep, GRADS)
        for where, value in ((first, a), (~first, b)):
            alone = rule(
                tensors(start(dtype)[where], [(where.sum(),)]),
                **{name: map_leaves(schedule, value)},
            )
            drive(alone, GRADS[:, where])
            got = {n: spread(array, SIZE)[where] for n, array in end(sweep).items()}
            assert_identical(got, {n: spread(a, where.sum()) for n, a in end(alone).items()})


@every_rule
def test_setting_a_hyperparameter_acts_from_the_next_step_on(rule):
    for name in rule.hyperparameters():
        if any(kind.fixed for kind in kinds_of(rule, name)):
            continue
        old, new = (1e-3, 0.1) if name == "eps" else pair(rule, name)
        changed = rule(tensors(start()), **{name: old})
        drive(changed, GRADS[:3])
        fresh = rule(tensors(end(changed)["p"]), **{name: new})
        settings = fresh.state_dict()["settings"]
        fresh.load_state_dict({**changed.state_dict(), "settings": settings})
        setattr(changed, name, new)
        np.testing.assert_array_equal(drive(changed, GRADS[3:]), drive(fresh, GRADS[3:]))
        assert getattr(changed, name) == new


@pytest.mark.parametrize("rule", (optim.Adam, optim.AMSGradTorch, optim.AMSGradKeras))
def test_a_sweep_rounds_the_root_of_a_correction_as_one_run_does(rule):
    # (1 - 0.97^29) ** 0.5 differs from sqrt(1 - 0.97^29) in glibc, by too little for p to tell
    one, sweep = rule(tensors(start())), rule(tensors(start()))
    one.betas, sweep.betas = (0.9, 0.97), (0.9, np.full(SIZE, 0.97))
    for g in gradients(40):
        drive(one, [g])
        drive(sweep, [g])
        np.testing.assert_array_equal(to_host(one.metric()), to_host(sweep.metric()))


@pytest.mark.parametrize(
    "rule, name, lo, hi",
    [
        (optim.ASGD, "alpha", 0.1, 0.9),
        (optim.NosAdam, "gamma", 0.1, 2),
        (optim.AdaShift, "betas", 0.8, 0.999),
    ],
    ids=("ASGD", "NosAdam", "AdaShift"),
)
def test_a_sweep_rounds_a_power_as_one_run_does(rule, name, lo, hi):
    # NumPy's power of arrays differs from the C library's of numbers in a last bit here and there
    def numbers(value):
        """What each traced pass is given, and leaves, in each step."""
        opt = rule(tensors(start()), lr=10.0)
        setattr(opt, name, (value, 0.999) if name == "betas" else value)
        passes = [one for one in opt._passes.values() if isinstance(one, FlatPass)]
        assert any(e.function == "power" for one in passes for e in one.program.hoisted)
        for t, g in enumerate(gradients(12), 1):
            now = opt._prepared().at(t)
            yield [to_host(x) + np.zeros(SIZE) for one in passes for x in one.numbers(now)]
            drive(opt, [g])

    values = np.linspace(lo, hi, SIZE)
    sweep = list(numbers(values))
    for i, value in enumerate(values.tolist()):
        for one, every in zip(numbers(value), sweep, strict=True):
            assert one
            for number, many in zip(one, every, strict=True):
                assert number[0] == many[i]
