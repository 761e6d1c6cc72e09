"""Kernels called as they are give the bits of their traces, and may be looked into."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optim
from minigrad.backend import xp
from optim.engine.kinds import kinds
from optim.engine.passes import EagerPass, FlatPass
from tests.driving import (
    assert_identical,
    both_dtypes,
    drive,
    end,
    flat,
    gradients,
    host_only,
    start,
    tensors,
)
from tests.engine.kernels import (
    assert_same_bits,
    built,
    every_kind,
    executing,
    random_kernel,
    rule,
    statements,
    unchecked,
)
from tests.rules.table import every_flat_rule

pytestmark = host_only
GRADS = gradients(6)
SIZE = GRADS.shape[1]


def falling(t):
    return 0.03 * 0.9**t


def ends(make, threads=None, monkeypatch=None):
    """The state after steps: eager, traced, and both of these in many blocks."""
    found = []
    for executor in ("eager", "traced"):
        for block_bytes in (2**19, 64):
            with executing(executor, block_bytes):
                opt = make()
                drive(opt, GRADS)
                wanted = EagerPass if executor == "eager" else FlatPass
                assert {type(one) for one in opt._passes.values()} == {wanted}
                found.append(end(opt))
    return found


@every_flat_rule
@both_dtypes
@pytest.mark.parametrize("box", (None, optim.Box(-0.6, 0.9)), ids=("free", "box"))
def test_every_rule(rule, dtype, box, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    first, *others = ends(lambda: rule(tensors(start(dtype)), lr=falling, projection=box))
    for one in others:
        assert_identical(one, first)


@every_flat_rule
@both_dtypes
def test_every_rule_with_a_rate_per_coordinate(rule, dtype):
    if not kinds(rule)["lr"].array:
        pytest.skip("takes one lr")
    rates = np.geomspace(1e-3, 0.1, SIZE)
    box = optim.Box(np.linspace(-1, 0, SIZE), np.linspace(0.1, 1, SIZE))
    first, *others = ends(lambda: rule(tensors(start(dtype)), lr=rates, projection=box))
    for one in others:
        assert_identical(one, first)


SPECIAL = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 1e-45, -1e-40, 1e30])


@given(
    made=statements,
    widths=st.sampled_from([(1,), (2,), (7, 1), (3, 4, 5)]),
    dtype=st.sampled_from(["float32", "float64"]),
    special=st.booleans(),
    spread=st.booleans(),
)
@settings(max_examples=200)
def test_any_kernel(made, widths, dtype, special, spread):
    """With numbers, one or one per coordinate, of which a wrong rounding would show in float32."""
    kernel, size = random_kernel(made), sum(widths)
    lr = np.linspace(-0.0, 1.3, size) if spread else 0.7
    grads = np.random.default_rng(0).normal(size=(2, size))
    if special:
        grads = np.random.default_rng(0).choice(SPECIAL, (2, size))

    def begin(self, p):
        return {"n": 0.3, "m": 2 * p}

    found = []
    for executor in ("eager", "traced"):
        with executing(executor), unchecked():
            x0 = start(dtype, size)
            opt = rule(kernel, start=begin)(tensors(x0, [(n,) for n in widths]), lr=lr)
            drive(opt, grads.astype(dtype))
            found.append(end(opt) | {"g": np.concatenate([x.grad for x in opt.params])})
    assert_same_bits(*found)


@every_kind
@both_dtypes
def test_kernels_of_many_kinds(kernel, dtype):
    found = []
    for executor in ("eager", "traced"):
        with executing(executor, block_bytes=64):
            opt = rule(kernel)(tensors(start(dtype), [(SIZE,)]))
            drive(opt, GRADS)
            found.append(end(opt) | {"g": opt.params.grad.copy()})
    assert_identical(*found)


def test_eager_is_an_argument_of_a_rule_or_a_block():
    def one_pass(**settings):
        x = tensors(start(), [(start().size,)])
        return type(optim.Adam(x, **settings)._passes["kernel"])

    assert one_pass() is FlatPass
    assert one_pass(eager=True) is EagerPass
    with optim.eager():
        assert one_pass() is EagerPass
        with pytest.raises(ZeroDivisionError), optim.eager():
            _ = 1 / 0
        assert one_pass() is EagerPass
    assert one_pass() is FlatPass


def test_print_and_looks_work(capsys):
    seen = {}

    def looks(p, g, n, *, lr, t):
        n += 1
        print(g, f"{lr:.1e}", n, repr(t))
        if t > 1 and (g > 0).any() and lr == 0.5:
            seen.update(size=len(g), float=float(lr), int=int(n), largest=max(g), sum=g.sum())
        p -= lr * g / g.size * g[0]

    opt = built(looks, start={"n": 0.0}, eager=True)
    drive(opt, [[1.0, 2.0, 3.0]] * 2)
    assert capsys.readouterr().out.splitlines() == [
        "[1. 2. 3.] 5.0e-01 np.float64(1.0) np.float64(1.0)",
        "[1. 2. 3.] 5.0e-01 np.float64(2.0) np.float64(2.0)",
    ]
    assert seen == {"size": 3, "float": 0.5, "int": 2, "largest": 3, "sum": 6}


def test_breakpoint_stops_in_the_kernel(monkeypatch):
    def stops(p, g, m, *, lr):
        m += g
        breakpoint()
        p -= lr * m

    frames = []
    monkeypatch.setattr(
        sys, "breakpointhook", lambda: frames.append(dict(sys._getframe(1).f_locals))
    )
    opt = built(stops, eager=True)
    drive(opt, np.ones((1, 3)))
    [names] = frames
    assert names.keys() == {"p", "g", "m", "lr"}
    assert isinstance(names["m"], np.ndarray) and (names["m"] == 1).all() and names["lr"] == 0.5


def test_an_array_in_a_number_is_an_error():
    for line in ("n += g", "n[...] = g", "xp.add(n, g, out=n)", "n *= g > 0"):
        namespace = {"xp": xp}
        exec(f"def kernel(p, g, n, *, lr):\n    {line}\n    p -= lr * g", namespace)
        opt = built(namespace["kernel"], start={"n": 0.0}, eager=True)
        with pytest.raises(TypeError, match="a number is one for all coordinates"):
            opt.step()


def test_a_number_of_the_state_is_live():
    def counts(p, g, n, *, lr):
        n += 1
        p -= lr * g

    opt = built(counts, start={"n": 0.0}, eager=True)
    n = opt.state["n"]
    drive(opt, np.ones((2, 3)))
    assert n == 2 and opt.state["n"] is n


def test_overflow_is_an_error_with_the_line_of_the_kernel():
    def divides(p, g, *, lr):
        p -= lr / g

    opt = built(divides, eager=True)
    with pytest.raises(FloatingPointError, match="at step 1: divide by zero"):
        drive(opt, [[1.0, 0.0, 2.0]])


def test_what_a_trace_has_left_is_gone_on_with():
    """A run may turn to eager kernels half-way."""
    made = {}
    for way in ("all", "turns"):
        x = tensors(start())
        opt = optim.Adam(x)
        drive(opt, GRADS[:3])
        if way == "turns":
            saved = opt.state_dict()
            del opt
            opt = optim.Adam(x, eager=True)
            opt.load_state_dict(saved)
        drive(opt, GRADS[3:])
        made[way] = end(opt)
    assert_identical(made["turns"], made["all"])
    assert flat(opt.params).shape == (SIZE,)
