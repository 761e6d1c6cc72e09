"""Loops that numba compiles give the bits of NumPy, and its errors."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optim
from minigrad.backend import xp
from optim.engine.kinds import kinds
from optim.engine.playback import Playback
from tests.driving import (
    assert_identical,
    both_dtypes,
    drive,
    end,
    feed,
    flat,
    gradients,
    host_only,
    start,
    tensors,
)
from tests.engine.kernels import (
    assert_same_bits,
    every_kind,
    executing,
    numba_only,
    random_kernel,
    rule,
    statements,
    unchecked,
)
from tests.rules.table import every_flat_rule

pytestmark = [host_only, numba_only]
SHAPES = [(7,), (), (5, 3), (14,)]
SIZE = 37
GRADS = gradients(6, SIZE)
SPECIAL = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 1e-45, -1e-40, 1e-310, 3e38])


def executors(opt):
    return {type(e).__name__ for one in opt._passes.values() for e in one._executors.values()}


def both(make, then, **blocks):
    """What `then` gives for the optimizer that `make` builds, played by NumPy, and compiled."""
    found = []
    for executor in ("traced", "numba"):
        with executing(executor, **blocks):
            opt = make()
            found.append(then(opt))
            wanted = {"Playback"} if executor == "traced" else {"Loop"}
            powers = isinstance(opt, optim.Padam)  # which NumPy plays anyhow
            assert executors(opt) - {"function"} == ({"Playback"} if powers else wanted)
    return found


def states(opt):
    """All of it after some steps, with the metric of each."""
    metrics = []
    for g in GRADS:
        drive(opt, [g])
        if opt.diagonal is not None:
            metrics.append(opt.metric())
    return end(opt) | {"metrics": np.array(metrics)}


@every_flat_rule
def test_every_rule_in_float32_and_a_box(rule):
    """Then with infinities, NaN, zeros of either sign and subnormals in its state."""

    def then(opt):
        first = states(opt)
        if opt.given:  # sums that would be NaN, which is refused
            return first, {}
        rng = np.random.default_rng(3)
        with unchecked():
            for name, array in opt.state.items():
                if name not in opt._state.numbers:
                    array[...] = rng.choice(SPECIAL, array.shape)
            drive(opt, rng.choice(SPECIAL, GRADS.shape).astype("float32"))
        return first, end(opt)

    def make():
        box = optim.Box(-0.6, 0.9)
        return rule(
            tensors(start("float32", SIZE), SHAPES), lr=lambda t: 0.03 * 0.9**t, projection=box
        )

    (played, after), (compiled, then_after) = both(make, then)
    assert_identical(compiled, played)
    assert_same_bits(then_after, after)


@every_flat_rule
def test_every_rule_in_float64_with_hyperparameters_per_coordinate(rule):
    of_kind, given = kinds(rule), {}
    if of_kind["lr"].array:
        given["lr"] = np.geomspace(1e-3, 0.1, SIZE)
    betas = of_kind.get("betas")
    if betas and all(beta.array for beta in betas):
        given["betas"] = (np.linspace(0, 0.95, SIZE), *rule.hyperparameters()["betas"][1:])
    played, compiled = both(lambda: rule(tensors(start("float64", SIZE), SHAPES), **given), states)
    assert_identical(compiled, played)


@every_kind
def test_kernels_of_many_kinds(kernel):
    def then(opt):
        drive(opt, gradients(3, 7))
        return end(opt) | {"g": opt.params.grad.copy()}

    played, compiled = both(lambda: rule(kernel)(tensors(start("float32", 7), [(7,)])), then)
    assert_identical(compiled, played)


@given(
    made=statements,
    sizes=st.sampled_from([(1,), (33,), (3, 1, 4)]),
    dtype=st.sampled_from(["float32", "float64"]),
    spread=st.booleans(),
)
@settings(max_examples=12)
def test_any_kernel(made, sizes, dtype, spread):
    size = sum(sizes)
    lr = np.linspace(-0.0, 1.3, size) if spread else 0.7
    made_rule = rule(random_kernel(made), start=lambda self, p: {"n": 0.3, "m": 2 * p})
    grads = np.random.default_rng(0).choice(SPECIAL, (2, size)).astype(dtype)

    def then(opt):
        drive(opt, grads)
        return end(opt)

    with unchecked():
        grads = np.random.default_rng(0).choice(SPECIAL, (2, size)).astype(dtype)
        played, compiled = both(
            lambda: made_rule(tensors(start(dtype, size), [(n,) for n in sizes]), lr=lr), then
        )
    assert_same_bits(compiled, played)


PAIRS = {  # what a kernel may do with two values x and y; y may be a number
    "sign": lambda x, y: xp.sign(x),
    "maximum": lambda x, y: xp.maximum(x, y),
    "maximum_": lambda x, y: xp.maximum(y, x),
    "minimum": lambda x, y: xp.minimum(x, y),
    "minimum_": lambda x, y: xp.minimum(y, x),
    "where": lambda x, y: xp.where(x > y, x, y),
    "where_": lambda x, y: xp.where(y >= x, x, y),
    "less": lambda x, y: xp.where(x < y, 1.0, 0.0),
    "less_equal": lambda x, y: xp.where(x <= y, x, -0.0),
    "equal": lambda x, y: xp.where(x == y, x, 2.0),
    "not_equal": lambda x, y: xp.where(x != y, y, 2.0),
    "both": lambda x, y: xp.where((x > 0) & (y > 0), x, 2.0),
    "either": lambda x, y: xp.where((x > 0) | ~(y > 0), x, 2.0),
    "truth": lambda x, y: xp.where(xp.logical_and(x, y), x, xp.where(xp.logical_not(x), 1.0, y)),
    "negative": lambda x, y: -x,
    "absolute": lambda x, y: xp.abs(x),
    "square": lambda x, y: x**2,
    "sqrt": lambda x, y: xp.sqrt(x),
    "reciprocal": lambda x, y: x**-1,
    "divide": lambda x, y: x / y,
    "subtract": lambda x, y: y - x,
    "above_0": lambda x, y: xp.maximum(x, 0.0),
    "above_0_": lambda x, y: xp.maximum(0.0, x),
    "below_minus_0": lambda x, y: xp.minimum(x, -0.0),
    "nan": lambda x, y: xp.maximum(x, xp.nan),
    "inf": lambda x, y: xp.minimum(xp.inf, x),
}
SIZES = (1, 2, 3, 7, 16, 33, 1_001)


def pairs_of(first, second, name):
    """A kernel that does all of PAIRS with two of its arguments, one array for each."""
    arguments = ", ".join(f"{one}_of" for one in PAIRS)
    body = "\n".join(f"    {one}_of[...] = PAIRS[{one!r}]({first}, {second})" for one in PAIRS)
    namespace = {"PAIRS": PAIRS}
    exec(f"def {name}(p, g, n, {arguments}, *, lr):\n{body}\n    p *= lr", namespace)
    return namespace[name]


WITH_ARRAY, WITH_NUMBER = pairs_of("p", "g", "with_array"), pairs_of("p", "n", "with_number")


@both_dtypes
@pytest.mark.parametrize("kernel", (WITH_ARRAY, WITH_NUMBER), ids=lambda kernel: kernel.__name__)
def test_pairs_of_special_values(kernel, dtype):
    """Each beside each other, at places that NumPy's vectors treat differently, against NumPy."""
    real = np.dtype(dtype).type
    with np.errstate(all="ignore"):
        values = SPECIAL.astype(dtype)
        x, y = (pair.ravel() for pair in np.meshgrid(values, values))
    one_rule = rule(kernel, start={"n": 0.0})

    def then(opt, y_at, k):
        p, g = np.roll(x, k), np.roll(y, k)
        p, g = np.resize(p, opt._owned.size), np.resize(g, opt._owned.size)
        opt.params.data[...], opt.state["n"][...] = p, y_at
        feed(opt.params, g)
        opt.step()
        second = real(y_at) if kernel is WITH_NUMBER else g
        want = {f"{name}_of": np.asarray(f(p, second)) for name, f in PAIRS.items()}
        want = {name: np.broadcast_to(a, p.shape).astype(dtype) for name, a in want.items()}
        assert_same_bits({name: opt.state[name] for name in want}, want)

    with unchecked():
        for executor in ("traced", "numba"):
            for size in SIZES:
                with executing(executor):
                    opt = one_rule(tensors(np.zeros(size, dtype), [(size,)]))
                    for k in range(0, len(x) if size < 99 else 1, max(1, size - 1)):
                        then(opt, values[k % len(values)], k)
                    if kernel is WITH_NUMBER:
                        for y_at in values:
                            then(opt, y_at, 0)


def fails(p, g, over, through, wrong, n, *, lr, t):
    n += 1
    through[...] = 1 / (g - 2)
    wrong[...] = xp.sqrt(g + 5)
    over[...] = g * g
    p -= lr * n * g


@pytest.mark.parametrize("executor", ("traced", "numba"))
@pytest.mark.parametrize("size", (1, 7, 1_001))
@both_dtypes
def test_errors(executor, size, dtype):
    """Where its largest gradient is, which step it was, and of which rule, in float32 and 64."""
    large = np.finfo(dtype).max / 2
    with executing(executor):
        one_rule = rule(fails, start={"n": 0.0})
        for place in {0, size // 2, size - 1}:
            for bad, said in (
                (large, "overflow"),
                (2.0, "divide by zero"),
                (-7.0, "invalid value"),
            ):
                opt = one_rule(tensors(np.ones(size, dtype), [(size,)]))
                g = np.full(size, 0.5)
                drive(opt, [g])
                g[place] = bad
                with pytest.raises(FloatingPointError) as raised:
                    drive(opt, [g.astype(dtype)])
                told = str(raised.value)
                assert told.startswith(f"Own(lr=0.5) at step 2: {said} encountered in ")
                assert f"in {dtype}; the largest gradient is {abs(bad):.3g}, of params[0]" in told


@both_dtypes
def test_of_several_errors_overflow_is_named_first(dtype):
    large = np.finfo(dtype).max / 2
    for values, said in (((-7.0, 2.0, large), "overflow"), ((-7.0, 2.0, 0.0), "divide by zero")):
        with executing("numba"):
            opt = rule(fails, start={"n": 0.0})(tensors(np.ones(3, dtype), [(3,)]))
            with pytest.raises(FloatingPointError, match=f"{said} encountered in a compiled loop"):
                drive(opt, np.array([values], dtype))


@pytest.mark.parametrize("executor", ("traced", "numba"))
def test_errors_of_numbers_and_where_they_are_rounded(executor):
    def kernel(p, g, n, *, lr, t):
        n += 1e300
        p -= xp.where(t > 1, n, lr) * g

    with executing(executor):
        one_rule = rule(kernel, start={"n": 0.0})
        opt = one_rule(tensors(np.ones(3, "float32"), [(3,)]))
        drive(opt, np.ones((1, 3)))
        with pytest.raises(FloatingPointError, match="at step 2: overflow encountered in"):
            drive(opt, np.ones((1, 3)))
        opt = one_rule(tensors(np.ones(3, "float32"), [(3,)]))
        opt.state["n"].fill(1.7976931348623157e308)
        with pytest.raises(
            FloatingPointError, match=r"step 1: overflow .* in 'n \+= 1e300' in float32"
        ):
            drive(opt, np.ones((1, 3)))
        assert opt.t == 0 and (flat(opt.params) == 1).all()


@pytest.mark.parametrize("executor", ("traced", "numba"))
def test_a_metric_may_divide_by_zero(executor):
    with executing(executor):
        opt = optim.SGD(tensors(start()), lr=0.0)
        drive(opt, gradients(1))
        assert np.isinf(opt.metric()).all()


def test_what_was_flagged_before_is_no_error():
    infinite = float("inf")
    with executing("numba"):
        opt = optim.SGD(tensors(start()))
        drive(opt, gradients(1))
        assert np.isnan(infinite - infinite)  # the processor's flag stays
        feed(opt.params, gradients(1)[0])
        opt.update()


def test_threads_share_the_coordinates(monkeypatch):
    def kernel(p, g, m, *, lr):
        m += g * g
        p -= lr * m

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    x0 = start("float32", 50)
    for lr in (0.5, np.linspace(0, 1, 50)):
        with executing("numba", block_bytes=16):
            opt = rule(kernel)(tensors(x0, [(20,), (30,)]), lr=lr)
            drive(opt, np.ones((2, 50)))
            [loop] = opt._passes["kernel"]._executors.values()
            assert loop._threads == 3
            assert [here for here, _ in loop._blocks][1:] == [slice(17, 34), slice(34, 50)]
            rates = np.asarray(lr, "float32")
            np.testing.assert_array_equal(flat(opt.params), x0 - rates - rates * np.float32(2))
            for place in (3, 20, 49):
                g = np.ones(50)
                g[place] = 3e38
                with pytest.raises(FloatingPointError, match="overflow encountered in a compiled"):
                    drive(opt, [g])
                drive(opt, np.zeros((1, 50)))


def test_names_that_are_taken_in_other_languages():
    arrays = ("i", "T", "new", "double", "t1", "x_p", "inf", "where", "a0", "sqrt", "t0", "loop")
    numbers = ("n0", "nan", "maximum", "t2", "float")
    body = [f"{name} += {k + 1} * g" for k, name in enumerate(arrays)]
    body += [f"{name} += {k + 1} * lambda_" for k, name in enumerate(numbers)]
    body += [f"p -= β * ({' + '.join(arrays)}) + xp.sqrt({' + '.join(numbers)})"]
    namespace = {"xp": xp}
    header = f"def kernel(p, g, {', '.join((*arrays, *numbers))}, *, lambda_, β, lr):"
    exec("\n    ".join((header, *body, "p *= lr")), namespace)
    found = []
    for executor in ("eager", "traced", "numba"):
        with executing(executor):
            opt = rule(
                namespace["kernel"],
                start=dict.fromkeys(numbers, 1.0),
                annotations={"lambda_": optim.Rate, "β": optim.Rate},
                **{"lambda_": 0.25, "β": 0.5},
            )(tensors(start("float32", 5), [(5,)]))
            drive(opt, gradients(3, 5))
            found.append(end(opt))
    assert_identical(found[1], found[0])
    assert_identical(found[2], found[0])
    assert found[0]["n0"] == 1.75


def test_rules_with_powers_are_played_by_numpy():
    with executing("numba"):
        opt = optim.Padam(tensors(start()))
        drive(opt, gradients(1))
        assert [type(e) for e in opt._passes["kernel"]._executors.values()] == [Playback]


def scales(p, g, *, lr, more):
    p -= lr * more * g


def test_a_loop_is_compiled_once(monkeypatch):
    from optim.engine import loop

    made = []
    monkeypatch.setattr(loop, "compile_source", lambda *_: made.append(1) or (lambda *_: 0))
    one_rule = rule(scales, annotations={"more": optim.Rate}, more=1.0)
    every = np.ones(SIZE)

    def compiled(dtype="float32", **given):
        before = len(made)
        opt = one_rule(tensors(start(dtype, SIZE), SHAPES), **given)
        drive(opt, GRADS[:2])
        return len(made) - before

    with executing("numba"):
        assert compiled() == 1
        assert compiled() == 0
        assert compiled(lr=lambda t: 1 / t, more=3.0) == 0
        assert compiled(dtype="float64") == 1
        assert compiled(projection=optim.Box(0, 1)) == 1
        assert compiled(projection=optim.NonNegative()) == 0
        assert compiled(lr=every) == 1
        assert compiled(lr=2 * every) == 0
        assert compiled(lr=lambda t: every / t) == 0
        assert compiled(more=every) == 0  # lr * more is one number that the loop meets
        assert compiled(lr=every, more=every) == 0
        assert compiled(lr=every, projection=optim.Box(0, 1)) == 1
        assert compiled(projection=optim.Box(0 * every, 1)) == 1
    assert len(made) == 6


def test_compiling_is_announced_where_it_takes_long(monkeypatch, capfd):
    from optim.engine import loop

    for patience, said in ((0.0, "numba compiles a loop ...\n"), (99.0, "")):
        monkeypatch.setattr(loop, "PATIENCE", patience)

        def kernel(p, g, *, lr):
            p -= lr * g

        with executing("numba"):
            drive(rule(kernel)(tensors(start("float32", 3), [(3,)])), np.ones((1, 3)))
        assert capfd.readouterr().err == said


def test_numba_is_not_imported_unless_it_is_asked_for():
    code = """
import sys, numpy as np, optim, experiments, models
from minigrad import Tensor
x = Tensor(np.ones(3), requires_grad=True)
x.grad = np.ones(3)
optim.Adam([x]).step()
assert not {"numba", "llvmlite", "optim.engine.loop"} & set(sys.modules)
"""
    environment = os.environ | {"MINIGRAD_BACKEND": "numpy"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_backend_that_is_not_installed_says_how_to(monkeypatch):
    from minigrad import backend

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        RuntimeError, match=r"numba is not installed; pip install .*, or use the numpy"
    ):
        backend.make("numba")
