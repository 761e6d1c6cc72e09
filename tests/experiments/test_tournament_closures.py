"""Rules that ask for a closure in the tournament: as many gradients as the others have, each of
them counted, and the least value where a rule asks for it."""

from dataclasses import replace

import numpy as np
import pytest

import experiments
import optim
from experiments.tournament import entries
from experiments.tournament.entries import entry
from experiments.tournament.entry import one_seed
from experiments.tournament.heat import Heat
from minigrad import Tensor
from optim.named import named
from tests.driving import host_only

pytestmark = host_only

CLOSURES = "PolyakSGD", "Sophia", "LBFGS"
BUDGET = 40
ASKS = """
import optim
from optim import inplace

class Asks(optim.Optimizer):
    needs_closure = True
    lr: float = 1e-3

    @inplace
    def kernel(p, g, *, lr):
        p -= lr * g
"""


def played(heat):
    while not heat.done:
        heat.advance()
    return heat


def lanes(tensors):
    return [x.reshape(1, 1, *x.shape) for x in tensors]


def plain(rule, made, k, seed, rate):
    """What is measured after so many gradients of one run, with an optimizer of its own that
    evaluates everything anew; and how many gradients each of its steps took."""
    p = [Tensor(start, requires_grad=True) for start in made.start(seed)]
    known = {"f_min": made.least} if rule == "PolyakSGD" else {}
    opt, calls, over, drawn = named(rule)(p, lr=float(rate), **known), 0, {}, []

    def closure():
        nonlocal calls
        calls += 1
        opt.zero_grad()
        loss = made.losses(lanes(p), drawn).sum()
        loss.backward()
        return loss

    while calls <= BUDGET:
        over[calls] = made.measure([Tensor(x.data[None, None]) for x in p])
        drawn = one_seed(made.draw(opt.t + 1), k)
        opt.step(closure)
    return over


@pytest.mark.parametrize("rule", CLOSURES)
@pytest.mark.parametrize("name", ["noisy", "wood", "noisy_quadratic", "mlp"])
def test_runs_are_those_of_a_plain_loop_that_counts_gradients(rule, name):
    """At each of the times the weights are those after the last step that was over by then, to the
    same bits."""
    rates, times = np.array([1e-2, 0.3]), np.array([1, 2, 3, 5, 8, 13, 21, 30, BUDGET + 1])
    made = entry(name, 2, 3, "digits")
    one = played(Heat(made, named(rule), rates, range(3, 5), times))
    assert one.apart and (one.failed == 0).all() and (one.used >= BUDGET).all()
    assert (one.t == BUDGET) == (rule == "PolyakSGD")
    for j, rate in enumerate(rates):
        for k in range(2):
            over = plain(rule, made, k, 3 + k, rate)
            assert (len(over) == BUDGET + 1) == (rule == "PolyakSGD")
            for key, curves in one.recorded.items():
                told = [over[max(n for n in over if n < t)][key][0, 0] for t in times]
                np.testing.assert_array_equal(curves[:, j, k], np.float32(told))


def test_every_gradient_that_is_computed_is_counted():
    made, counted = entry("wood", 1, 0, None), []

    def losses(params, drawn):
        counted.append(params[0].shape)
        return made.losses(params, drawn)

    one = Heat(replace(made, losses=losses), optim.LBFGS, np.ones(1), range(1), np.array([1, 31]))
    assert len(counted) == 0
    played(one)
    assert len(counted) == one.used.sum() >= 30 and one.t < 25


def test_polyak_is_its_formula_with_the_least_value_that_is_known():
    """On a sum of squares whose least is not 0, with a bound that is met and one that is not."""
    rates, times = np.array([1e-6, 1e9]), np.array([1, 2, 4, 9])
    made = entry("jennrich_sampson", 1, 0, None)
    one = played(Heat(made, optim.PolyakSGD, rates, range(1), times))
    i, least = np.arange(1.0, 11), 124.362182355615
    for k, rate in enumerate(rates):
        x, told = np.array([0.3, 0.4]), []
        for t in range(1, 10):
            r = 2 + 2 * i - np.exp(i * x[0]) - np.exp(i * x[1])
            f, g = (r * r).sum(), -2 * np.array([(r * i * np.exp(i * c)).sum() for c in x])
            if t in times:
                told.append(f - least)
            x = x - min(rate, (f - least) / (g @ g)) * g
        np.testing.assert_allclose(one.recorded["reported"][:, k, 0], told, rtol=1e-5)


@pytest.mark.parametrize("name", entries.names())
def test_no_loss_of_a_step_is_below_the_least(name):
    """By what a solver finds on the draws of two steps."""
    optimize = pytest.importorskip("scipy.optimize")
    made = entry(name, 1, 0, "digits")
    first = made.start(0)
    if sum(x.size for x in first) > 100:  # a cross-entropy
        assert made.least == 0
        return

    def loss(flat, drawn):
        return made.losses(lanes([Tensor(flat)]), drawn).item()

    for t in (1, 2):
        with np.errstate(all="ignore"):
            found = optimize.minimize(loss, first[0], (made.draw(t),), options={"gtol": 1e-9}).fun
        assert found >= made.least - 1e-6 * (1 + abs(made.least))
        if name in ("quadratic", "noisy", "noisy_quadratic", "wood", "bard"):
            assert found == pytest.approx(made.least, abs=1e-6)


def test_a_run_that_cannot_begin_fails_alone():
    rates = np.array([1e-2, 1.0])
    times = np.array([1, 5, 11])
    one = Heat(entry("quadratic", 2, 0, None), optim.LBFGS, rates, range(2), times)
    one.runs.alone[1, 0][0].data = np.full(20, 1e200)  # its loss is infinite
    one.runs.params[0].data[1, 0] = 1e200
    played(one)
    assert (one.failed == [[0, 0], [1, 0]]).all()
    assert np.isinf(one.recorded["reported"][1:, 1, 0]).all()
    assert np.isfinite(np.delete(one.recorded["reported"].reshape(3, 4), 2, axis=1)).all()


def test_a_rule_of_a_file_that_asks_for_a_closure_without_need_is_as_one_that_does_not(tmp_path):
    (tmp_path / "asks.py").write_text(ASKS)
    rules = "sgd", f"{tmp_path}/asks.py:Asks"
    result = experiments.run("tournament", quick=True, rules=rules, problems="wood,mlp", steps=30)
    for name in ("wood", "mlp"):
        for key, array in result.traces[f"SGD on {name}"].items():
            np.testing.assert_array_equal(array, result.traces[f"Asks on {name}"][key])
    assert "Asks is given the loss too" in result.caption


def test_they_take_part_and_the_caption_says_how():
    result = experiments.run(
        "tournament", quick=True, rules=CLOSURES, problems="quadratic,beale", steps=60
    )
    ends = {r: result.traces[f"{r} on quadratic"]["reported"][-1].min() for r in CLOSURES}
    assert ends["LBFGS"] < 1e-12  # in 60 gradients, of 20 coordinates
    assert "PolyakSGD, Sophia and LBFGS are given the loss too" in result.caption
    assert "PolyakSGD is told the least that the loss can be" in result.caption
    names = "lion", "lbfgs", "polyaksgd(f_min=1.0)"
    other = experiments.run("tournament", quick=True, rules=names[:1], problems="beale", steps=20)
    assert "given the loss" not in other.caption
    other = experiments.run("tournament", quick=True, rules=names, problems="beale", steps=20)
    assert "LBFGS and PolyakSGD(f_min=1.0) are given the loss" in other.caption
    assert "is told" not in other.caption
