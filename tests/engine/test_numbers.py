"""Arithmetic among numbers: done once a step, in float64, and rounded where it meets an array."""

import numpy as np
import pytest

from minigrad.backend import xp
from optim.engine.hoist import Hoisted
from optim.engine.trace import trace
from tests.driving import both_dtypes, drive, flat, gradients, host_only, start, tensors
from tests.engine.kernels import executing, rule

pytestmark = host_only


def run(kernel, *, blocks=1, dtype="float64", steps=2, **members):
    """The parameters and the state of a rule of ten coordinates after steps in so many blocks."""
    x0, settings = start(dtype, 10), {n: members.pop(n) for n in ("lr",) if n in members}
    with executing("traced", block_bytes=x0.itemsize * (10 // blocks)):
        opt = rule(kernel, **members)(tensors(x0, [(10,)]), **settings)
        drive(opt, gradients(steps, 10).astype(dtype))
        state = {name: array.copy() for name, array in opt.state.items()}
        assert len(list(opt._state.blocks(("p",), 10 // blocks))) == blocks
    return {"p": flat(opt.params), **state}


def expected(move, dtype="float64", steps=2):
    """The same of a plain function of p, g and the step."""
    p = start(dtype, 10).copy()
    for t, g in enumerate(gradients(steps, 10).astype(dtype), 1):
        p = move(p, g, t)
    return p


@pytest.mark.parametrize("blocks", (1, 2, 5))
def test_a_number_is_read_before_and_after_its_change(blocks):
    def kernel(p, g, n, *, lr):
        p -= n * g
        n += 2
        p -= n * g * lr
        n *= 3

    got = run(kernel, blocks=blocks, start={"n": 1.0})
    n = {1: 1.0, 2: 9.0}
    want = expected(lambda p, g, t: p - n[t] * g - (n[t] + 2) * g * 0.5)
    np.testing.assert_array_equal(got["p"], want)
    assert got["n"] == 33 and got["n"].shape == () and got["n"].dtype == "float64"


@pytest.mark.parametrize("blocks", (1, 2, 5))
def test_two_passes_share_a_number(blocks):
    def first(p, g, n, *, lr):
        n += 1
        p -= lr * n * g
        n += 1

    def kernel(p, g, n, *, lr):
        n *= 2
        p -= lr * n * g

    got = run(
        kernel,
        blocks=blocks,
        start={"n": 0.0},
        passes=("first", "kernel"),
        first=staticmethod(first),
    )
    n = {1: (1, 4), 2: (5, 12)}
    want = expected(lambda p, g, t: p - 0.5 * n[t][0] * g - 0.5 * n[t][1] * g)
    np.testing.assert_array_equal(got["p"], want)
    assert got["n"] == 12


def test_another_name_of_a_number_changes_with_it_and_a_copy_does_not():
    def kernel(p, g, n, *, lr):
        also, before = n, n.copy()
        also += 1
        n *= 2
        mine = lr.copy()
        mine *= 8
        p -= mine * (also - before) * g

    got = run(kernel, start={"n": 3.0})
    np.testing.assert_array_equal(got["p"], expected(lambda p, g, t: p - 4 * {1: 5, 2: 10}[t] * g))
    assert got["n"] == 18


def test_a_number_that_no_array_meets():
    def kernel(p, g, n, *, lr, t):
        n += t
        p -= lr * g

    assert run(kernel, steps=3, start={"n": 0.5})["n"] == 6.5


def test_a_number_that_holds_a_comparison():
    def kernel(p, g, late, n, *, lr, t):
        late[...] = t > 1
        xp.less(t, 2, out=n)
        p -= lr * late * g

    got = run(kernel, start={"late": 0.0, "n": 0.0})
    assert got["late"].dtype == got["n"].dtype == "float64"
    assert got["late"] == 1 and got["n"] == 0
    np.testing.assert_array_equal(got["p"], expected(lambda p, g, t: p - 0.5 * (t > 1) * g))


def test_literals_have_the_dtype_of_the_arena():
    def kernel(p, g, *, lr):
        p -= 0.1 * g * np.float64(0.3)
        p -= xp.where(p > lr, 0.1, 0.7)
        p += (p < 0) * 0.1

    real = np.float32

    def move(p, g, t):
        p = p - real(0.1) * g * real(0.3)
        p = p - np.where(p > 0.5, real(0.1), real(0.7))
        return p + (p < 0).astype(real) * real(0.1)

    got = run(kernel, dtype="float32")["p"]
    np.testing.assert_array_equal(got, expected(move, "float32"), strict=True)


@pytest.mark.parametrize("lr", (1e-9, np.full(10, 1e-9)), ids=("number", "per coordinate"))
@both_dtypes
def test_arithmetic_among_numbers_is_float64(lr, dtype):
    def kernel(p, g, n, *, lr):
        n += 1 - lr
        p *= 0
        p += (1 - n) * 1e9

    got = run(kernel, dtype=dtype, steps=1, lr=lr, start={"n": 0.0})
    np.testing.assert_array_equal(got["p"], np.full(10, (1 - (1 - 1e-9)) * 1e9, dtype), strict=True)
    assert got["n"].dtype == "float64" and got["n"].shape == np.shape(lr)


def test_a_number_per_coordinate_is_no_view_of_a_hyperparameter():
    def kernel(p, g, n, *, lr):
        n[...] = lr
        p -= n * g

    opt = rule(kernel, start={"n": 0.0})(
        tensors(start(), [(start().size,)]), lr=np.ones(start().size)
    )
    drive(opt, np.ones((1, start().size)))
    opt.state["n"][...] = 7
    assert (opt.lr == 1).all()
    assert (opt.used["lr"] == 1).all()


@pytest.mark.parametrize("executor", ("traced", "eager"))
def test_a_number_becomes_one_per_coordinate_and_one_again(executor):
    def kernel(p, g, n, *, lr):
        n[...] = 2 * lr
        p -= n * g

    with executing(executor):
        opt = rule(kernel, start={"n": 0.0})(tensors(np.zeros(3), [(3,)]))
        moved = 0.0
        for lr in (0.25, np.array([1.0, 2.0, 4.0]), np.array([2.0, 1.0, 4.0]), 0.125):
            opt.lr = lr
            held = opt.state["n"]
            [row] = drive(opt, np.ones((1, 3)))
            moved = moved - 2 * lr
            np.testing.assert_array_equal(row, np.zeros(3) + moved)
            np.testing.assert_array_equal(opt.state["n"], np.array(2 * lr), strict=True)
            assert (opt.state["n"] is held) == (np.shape(held) == np.shape(lr))


def test_an_error_among_numbers_has_its_line_and_changes_nothing():
    def kernel(p, g, m, n, *, lr, t):
        m += g
        n += 1
        p -= lr / (t - 2) * m

    x0 = start("float64", 10)
    opt = rule(kernel, start={"n": 0.0})(tensors(x0, [(10,)]))
    [first] = drive(opt, np.ones((1, 10)))
    said = (
        r"Own\(lr=0.5\) at step 2: divide by zero .*, in 'p -= lr / \(t - 2\) \* m' in float64; the"
    )
    with pytest.raises(FloatingPointError, match=said):
        drive(opt, np.ones((1, 10)))
    np.testing.assert_array_equal(flat(opt.params), first)
    assert opt.t == 1 and opt.state["n"] == 1 and (opt.state["m"] == 1).all()
    opt.lr = lambda t: 0.0
    with pytest.raises(FloatingPointError, match="at step 2: invalid"):
        drive(opt, np.ones((1, 10)))
    assert opt.t == 1


@pytest.mark.parametrize(
    "line, said",
    [
        ("n *= 1e200 * n", "overflow"),
        ("n *= (n - 1) / (n - 1)", "invalid value"),
        ("n += xp.sqrt(0.5 - n)", "invalid value"),
        ("n += 2.0 ** (3000 * n)", "overflow"),
        ("n += xp.exp(3000 * n)", "overflow"),
        ("n += xp.log(n - 1)", "divide by zero"),
        ("n += 1 / (n - 1)", "divide by zero"),
        ("n += xp.reciprocal(n - 1)", "divide by zero"),
        ("n += (n - 1) ** -1", "divide by zero"),
    ],
)
@pytest.mark.parametrize("per_coordinate", (False, True))
def test_numbers_that_overflow(line, said, per_coordinate):
    namespace = {"xp": xp}
    exec(f"def kernel(p, g, n, *, lr):\n    n *= lr\n    {line}\n    p -= n * g", namespace)
    lr = np.full(2, 1.0) if per_coordinate else 1.0
    if "1e200" in line:
        lr = lr * 1e200
    opt = rule(namespace["kernel"], start={"n": 1.0})(tensors(np.ones(2), [(2,)]), lr=lr)
    with pytest.raises(FloatingPointError, match=said):
        drive(opt, np.ones((1, 2)))
    assert opt.t == 0 and (flat(opt.params) == 1).all() and opt.state["n"] == 1


def test_python_and_numpy_compute_numbers_to_the_same_bits():
    """Numbers that are finite go by floats of Python; the others, and arrays, by NumPy."""
    values = [0.0, -0.0, 1.0, -2.0, 0.3, 5e-324, -1e-310, 1e150]
    values += [1.0829224404981834 - 0.05, 14.32559744049129]  # with other bits of Python's power
    lines = {
        *("a + b", "a - b", "a * b", "-a", "abs(a)", "xp.sign(a)", "xp.maximum(a, b)", "a**2"),
        *("xp.minimum(a, b)", "xp.where(a > b, a, b)", "xp.where(a == b, a, 2.0)", "xp.tanh(a)"),
        *(
            "xp.sqrt(abs(a))",
            "xp.exp(-abs(a))",
            "xp.minimum(0.05 + abs(a), 2) ** xp.minimum(b, 15)",
            "xp.log(2 + abs(a))",
        ),
        *("xp.where((a > 0) & (b > 0), a, b)", "xp.where(~(a > 0) | (b < 0), a, b)", "a / (3 + b)"),
        *("xp.where(a >= b, 1.0, -0.0)", "xp.where(a <= b, a, -0.0)", "xp.where(a != b, b, a)"),
    }
    body = "\n".join(f"    n{i} += {line} - 0.0" for i, line in enumerate(sorted(lines)))
    arguments = ", ".join(f"n{i}" for i in range(len(lines)))
    namespace = {"xp": xp}
    exec(f"def kernel(a, b, {arguments}):\n{body}", namespace)
    names = ("a", "b", *arguments.split(", "))
    hoisted = Hoisted(trace(namespace["kernel"], names, frozenset(names), ()))
    pairs = [(a, b) for a in values for b in values]
    rest = [-0.0] * len(lines)
    columns = [np.array(column) for column in zip(*pairs, strict=True)]
    arrays = hoisted([*columns, *rest])
    for k, (a, b) in enumerate(pairs):
        floats = hoisted._of_floats(a, b, *rest)
        assert hoisted([a, b, *rest]) == floats
        by_numpy = hoisted.one_by_one([a, b, *rest])
        for one, another, column in zip(floats, by_numpy, arrays, strict=True):
            bits = np.float64(one).tobytes()
            assert bits == np.float64(another).tobytes() == np.float64(column[k]).tobytes()


def test_update_may_give_integers_and_flags():
    def kernel(p, g, n, *, lr, k, first):
        n += k**-1 * xp.where(first, 2.0, 1.0) + k / 2
        p -= lr * n * g * k * first

    def update(self):
        self.apply("kernel", k=self.t, first=self.t == 1)

    for lr in (0.5, np.full(3, 0.5)):
        one_rule = rule(kernel, start={"n": 0.0}, given=("k", "first"), update=update)
        opt = one_rule(tensors(np.zeros(3), [(3,)]), lr=lr)
        rows = drive(opt, np.ones((2, 3)))
        assert (opt.state["n"] == 2.5 + 1.5).all() and opt.state["n"].dtype == "float64"
        np.testing.assert_array_equal(rows, np.full((2, 3), -1.25))
