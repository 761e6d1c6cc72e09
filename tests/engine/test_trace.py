"""What a kernel may do, and what is refused, with the cure, when its rule is first built."""

import copy
import math
import random
from itertools import cycle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given

import optim
from minigrad import Tensor
from minigrad.backend import xp
from optim.engine.functions import COMPARISONS, LOGICAL, known
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.trace import Value, trace
from tests.engine.kernels import built, random_kernel, rule, statements

both_sizes = pytest.mark.parametrize("size", (10, 1_000_000))
NAMESPACE = {
    "xp": xp,
    "np": np,
    "math": math,
    "random": random,
    "copy": copy,
    "rng": np.random.default_rng(0),
    "elsewhere": np.zeros(10),
    "scalar": np.array(0.0),
    "turns": cycle((True, False)),
}


def kernel_of(line):
    """A kernel of this line, which lies in no file."""
    namespace = dict(NAMESPACE)
    exec(
        f"def kernel(p, g, m, n, *, lr, t):\n    {line}\n    m += g\n    n += 1\n    p -= lr * g",
        namespace,
    )
    return namespace["kernel"]


def build(line, size=10):
    return built(kernel_of(line), size, start={"n": 0.0})


BEYOND = (
    "which looks beyond its coordinate, .*; sum it in `update` with sum_over, or list the pass in"
)
LOOK = "uses a look at its values, .*; write xp's functions in place of .* with eager=True"
WHERE = "uses `if`, .*; write xp.where"
TABLE = "; it may use absolute, add, divide, .*, tanh, where"
ALONE = "of comparisons alone, .*; write &, | or ~, or xp.where"
BROUGHT = "that is no argument, .*; declare it as state"

REFUSED = {
    "p -= lr * g[0]": f"indexing, {BEYOND}",
    "p -= lr * g[::-1]": f"indexing, {BEYOND}",
    "p[1:] -= lr * g[:-1]": f"indexing, {BEYOND}",
    "p -= lr * g[None]": f"indexing, {BEYOND}",
    "p -= lr * xp.roll(g, 1)": f"xp.roll, {BEYOND}",
    "p -= lr * xp.diff(g, prepend=0)": f"xp.diff, {BEYOND}",
    "p -= lr * xp.flip(g)": f"xp.flip, {BEYOND}",
    "p -= lr * xp.sort(g)": f"xp.sort, {BEYOND}",
    "g.sort()": rf"\.sort, {BEYOND}",
    "p -= lr * xp.quantile(g, 0.5)": f"xp.quantile, {BEYOND}",
    "p -= lr * xp.cumsum(g)": f"xp.cumsum, {BEYOND}",
    "p -= lr * max(g)": f"iteration, {BEYOND}",
    "p -= lr * sum(g)": f"iteration, {BEYOND}",
    "p -= lr * g / len(g)": f"len or iteration, {BEYOND}",
    "p -= lr * g / g.size": rf"\.size, {BEYOND}",
    "p -= lr * g / g.shape[0]": rf"\.shape, {BEYOND}",
    "p -= lr * xp.einsum('i,i->', g, g)": f"xp.einsum, {BEYOND}",
    "p -= lr * xp.arange(g.size)": rf"\.size, {BEYOND}",
    "p -= lr * g.sum()": rf"\.sum, {BEYOND}",
    "p -= lr * xp.max(g)": f"xp.max, {BEYOND}",
    "p -= lr * xp.add.reduce(g)": rf"add\.reduce, {BEYOND}",
    "xp.add.at(p, [0], 1)": rf"add\.at, {BEYOND}",
    "p -= lr * (g @ g)": f"uses matmul, {BEYOND}",
    "p -= lr * np.linalg.norm(g)": f"xp.norm, {BEYOND}",
    "p -= lr * xp.stack([g, p])": f"xp.stack, {BEYOND}",
    "p -= lr * xp.where(g > 0)[0]": f"xp.where, {BEYOND}",
    "p -= lr * g.reshape(-1)": rf"\.reshape, {BEYOND}",
    "a, b = g": f"iteration, {BEYOND}",
    "p -= xp.where(any(g), 0.0, g)": f"iteration, {BEYOND}",
    "p[g > 0] = 0": r"indexing, .*; write p\[...\] = xp.where\(condition, new, p\)",
    "p[np.array([0, 1])] = 0": r"indexing, .*; write p\[...\] = xp.where\(",
    "p[0] = 1": r"indexing, .*; write p\[...\] = xp.where\(",
    "p -= lr * random.random() * g": "not do the same when it is called twice; .* `update`",
    "p -= lr * rng.normal() * g": "not do the same when it is called twice",
    "p -= rng.integers(2**40) * g": "not do the same when it is called twice",
    "p -= g if next(turns) else 2 * g": "not do the same when it is called twice",
    "p -= lr * rng.normal(size=g.shape)": rf"\.shape, {BEYOND}",
    "p -= lr * rng.normal(size=10)": rf"an array of shape \(10,\) {BROUGHT}",
    "p -= lr * xp.arange(10)": rf"an array of shape \(10,\) {BROUGHT}",
    "np.add(g, 1, out=elsewhere)": f"an array {BROUGHT}",
    "scalar[...] += g": f"an array {BROUGHT}",
    "p -= lr * 1j * g": f"a complex {BROUGHT}",
    "p -= lr * None": f"a NoneType {BROUGHT}",
    "p -= g if g > 0 else 2 * g": WHERE,
    "p -= g * (g > 0 and p > 0)": WHERE,
    "p -= lr * (g if lr > 0.1 else p)": WHERE,
    "p -= lr * max(g, p)": WHERE,
    "assert (g == g)": WHERE,
    "print(g)": LOOK,
    "print(f'{lr:.2e}')": LOOK,
    "repr(n)": LOOK,
    "p -= math.sqrt(lr) * g": LOOK,
    "p -= float(lr) * g": LOOK,
    "p -= g[int(t)]": LOOK,
    "p -= lr * g.item()": LOOK,
    "p -= lr * np.asarray(g)": LOOK,
    "p -= lr * np.float64(g)": LOOK,
    "p -= lr * np.add.reduce([g, p])": LOOK,
    "p -= lr * copy.deepcopy(g)": LOOK,
    "{g: 1}": LOOK,
    "p -= lr * xp.clip(g, -1, 1)": f"xp.clip, .*{TABLE}",
    "p -= lr * g.clip(-1, 1)": rf"\.clip, .*{TABLE}",
    "p -= lr * xp.round(g)": f"xp.round, .*{TABLE}",
    "p -= lr * round(g)": f"round, .*{TABLE}",
    "p.fill(0)": rf"\.fill, .*{TABLE}",
    "np.copyto(p, g)": f"xp.copyto, .*{TABLE}",
    "p -= lr * g.astype('float64')": rf"\.astype, .*{TABLE}",
    "p -= np.finfo(g.dtype).eps * g": rf"\.dtype, .*{TABLE}",
    "p -= lr * xp.zeros_like(g)": f"xp.zeros_like, .*{TABLE}",
    "p -= lr * xp.modf(g)[0]": f"modf, .*{TABLE}",
    "p -= lr * (g // 2)": f"floor_divide, .*{TABLE}",
    "p -= lr * xp.isnan(g)": f"isnan, .*{TABLE}",
    "p -= lr * np.frompyfunc(abs, 1, 1)(g)": f"abs .vectorized., .*{TABLE}",
    "lr *= 0.5": r"a change of lr, .*; give the result a name of its own, as half = 0.5 \* lr",
    "rate = lr; rate += 1": "a change of lr",
    "n += g": "an array written to a number, .*; give it a name of its own, or make it state",
    "n[...] = g > 0": "an array written to a number",
    "xp.subtract(p, g, out=p, where=g > 0)": "subtract with where=, .*; write xp.where",
    "p -= (g > 0) + (p > 0)": f"add {ALONE}",
    "p -= -(g > 0)": f"negative {ALONE}",
    "p -= lr * (lr > 0) * ((t > 1) - (lr > 0))": f"subtract {ALONE}",
    "above = g > 0; above += 1": "arithmetic written to a comparison, .*; give the result another",
    "p -= xp.where(g & p, g, 0.0)": "bitwise_and of what is no comparison, .*; write xp.logical_",
    "p -= xp.where(~n, g, 0.0)": "invert of what is no comparison, .*; write xp.logical_not",
    "p = p - lr * g": "Own never writes p; .* write p -= .*, not p = p - ",
    "p - lr * g": r"computes subtract in .* and drops it; .* write p -= .* not p = ",
    "return p - lr * g": "computes subtract in .* and drops it",
    "p -= lr * g.nonsense": "an array in a kernel has no nonsense",
    "p -= lr * xp.nonsense(g)": "has no attribute 'nonsense'",
}


@both_sizes
@pytest.mark.parametrize("line", REFUSED)
def test_what_a_kernel_may_not_do(line, size):
    with pytest.raises((TypeError, AttributeError), match=REFUSED[line]) as raised:
        build(line, size)
    assert "Symbol" not in str(raised.value)


def sums_in_a_helper(x):
    return x / x.sum()


def test_the_line_is_that_of_the_kernel_or_of_what_it_calls():
    def cuts(p, g, *, lr):
        p -= lr * sums_in_a_helper(g)

    with pytest.raises(TypeError, match=r"cuts uses \.sum, .* in 'return x / x.sum\(\)'; sum it"):
        built(cuts)
    with pytest.raises(TypeError, match="in '<string>:2'"):
        build("g.sum()")


def test_the_functions_are_those_of_the_table():
    used = {
        *("xp.abs(g)", "-g", "g + 1", "1 - g", "g * g", "g / 2", "xp.sign(g)", "xp.square(g)"),
        *("xp.sqrt(g)", "xp.reciprocal(g)", "xp.maximum(g, p)", "xp.minimum(g, p)"),
        *("xp.where(g > 0, g, p)", "xp.where(g < 0, g, p)", "xp.where(g >= 0, g, p)"),
        *("xp.where(g <= 0, g, p)", "xp.where(g == 0, g, p)", "xp.where(g != 0, g, p)"),
        *("xp.where((g > 0) & (p > 0), g, p)", "xp.where((g > 0) | (p > 0), g, p)"),
        *("xp.where(~(g > 0), g, p)", "g**p", "xp.exp(g)", "xp.log(g)", "xp.tanh(g)"),
    }
    functions = set()
    for expression in used:
        functions |= build(f"p -= {expression}")._passes["kernel"].program.functions
    assert sorted(functions - {"copy"}) == known().split(", ")


def moments(p, g, m, n, *, lr):
    m *= 0.5
    m += g
    n += 1
    p -= lr * m / n


def assigned_momentum(p, g, m, n, *, lr):
    m = 0.5 * m + g
    n += 1
    p -= lr * m / n


def assigned_number(p, g, m, n, *, lr):
    m += g
    n = n + 1
    p -= lr * m / n


def assigned_and_dropped(p, g, m, n, *, lr):
    m += g
    p -= lr * m
    n = n + 1


def assigned_in_a_cell(p, g, m, n, *, lr):
    m += g
    n = n + 1
    p -= (lambda: lr * m / n)()


def moves_nothing(p, g, m, n, *, lr):
    m += lr * g + p
    n += 1


def takes_self(self, p, g, m, n, *, lr):
    moments(p, g, m, n, lr=lr)


def too_large(p, g, m, n, *, lr):
    moments(p, g, m, n, lr=lr)
    p -= xp.minimum(g, 1e300)


ASSIGNED = "never writes its state {0}, which so stays as it is; write {0} [*]= .*, not {0} = "


@both_sizes
@pytest.mark.parametrize(
    "kernel, said",
    [
        (assigned_momentum, ASSIGNED.format("m")),
        (assigned_number, ASSIGNED.format("n")),
        (assigned_and_dropped, ASSIGNED.format("n")),
        (assigned_in_a_cell, ASSIGNED.format("n")),
        (moves_nothing, "Own never writes p; to move the parameters, write p -= "),
        (
            takes_self,
            "kernel of Own takes self, .*; take `self` away, and name what it needs after",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_rule_that_would_stand_still(kernel, said, size):
    with pytest.raises(TypeError, match=said):
        built(kernel, size, start={"n": 0.0})


def test_state_that_start_gives_may_be_only_read():
    def pulled(p, g, home, far, *, lr):
        p -= lr * (g + far * (p - home))

    opt = built(pulled, start=lambda self, p: {"home": p, "far": 0.25})
    opt.step()
    assert set(opt.state) == {"home", "far"}


def test_a_literal_that_overflows():
    built(too_large, start={"n": 0.0})
    said = (
        r"too_large has 1e\+300, in 'p -= xp.minimum.*', which overflows in float32; write xp.inf"
    )
    with pytest.raises(ValueError, match=said):
        built(too_large, start={"n": 0.0}, dtype="float32")


def test_rows_in_a_kernel():
    def keeps(p, g, rows, *, lr):
        rows += g
        p -= lr * g

    with pytest.raises(
        TypeError, match=r"kernel of Own takes rows, .* read it in `update`, or list"
    ):
        built(keeps, start=lambda self, p: {"rows": xp.zeros((2, p.size))})


def test_a_number_that_every_tensor_would_change():
    said = "kernel of Own changes the number n, of which every tensor sees a copy; change it in a"
    with pytest.raises(TypeError, match=said):
        built(moments, start={"n": 0.0}, per_tensor=("kernel",))


@both_sizes
def test_hyperparameters_that_nothing_takes(size):
    def build(kind, **members):
        built(moments, size, start={"n": 0.0}, annotations={"more": kind}, more=2, **members)

    said = "no pass of Own takes its hyperparameter more; name it .* optim.Fixed or optim.Count"
    with pytest.raises(TypeError, match=said):
        build(optim.Rate)
    build(optim.Fixed)
    build(optim.Count)


def test_hyperparameters_without_a_type():
    def takes_more(p, g, *, lr, more):
        p -= lr * more * g

    with pytest.raises(
        TypeError, match=r"takes the scalar 'more', but .*; declare it as a hyperpar"
    ):
        built(takes_more, more=0.5)
    with pytest.raises(
        TypeError, match=r"Own sets lr without a type, .*; write lr: optim.Rate = 0.1"
    ):
        type("Own", (rule(moments),), {"lr": 0.1})


def test_what_a_kernel_reads_of_its_module_is_as_it_is_when_a_rule_is_built():
    kept = SimpleNamespace(scale=2.0)

    def scaled(p, g, *, lr):
        p -= lr * kept.scale * g

    made = rule(scaled)

    def moved():
        x = Tensor([0.0], requires_grad=True)
        x.grad = np.ones(1, "float32")
        made([x]).step()
        return x.item()

    assert moved() == -1
    kept.scale = 4.0
    assert moved() == -2
    kept.scale = 2.0
    assert moved() == -1


def test_the_same_rule_is_the_same_program():
    made = rule(moments, start={"n": 0.0})
    one, another = (made([Tensor([0.0], requires_grad=True)]) for _ in range(2))
    assert one._passes["kernel"].program is another._passes["kernel"].program


def test_a_rule_that_is_defined_again():
    """As a cell of a notebook that ran twice."""

    def defined(factor):
        class Again(Optimizer):
            lr: optim.Rate = 1.0

            @inplace
            def kernel(p, g, *, lr):
                p -= lr * factor * g

        return Again

    for factor in (1.0, 3.0):
        made = defined(factor)
        x = Tensor([0.0], requires_grad=True)
        x.grad = np.ones(1, "float32")
        assert optim.RULES["again"] is made
        optim.make("again", [x]).step()
        assert x.item() == -factor
    del optim.RULES["again"]


@given(made=statements)
def test_comparisons_are_kept_apart_from_numbers(made):
    """Languages differ in what they make of arithmetic with them."""
    names = ("p", "g", "m", "n")
    program = trace(random_kernel(made), names, frozenset("n"), (("lr", 0), ("t", 0)))
    for function, inputs, out, _ in (*program.hoisted, *program.loop):
        flags = [isinstance(x, Value) and x.is_flag for x in inputs]
        compares, asks = function in COMPARISONS, function in LOGICAL
        wanted = [asks or (function == "copy" and out.is_flag)] * len(inputs)
        if function == "where":
            wanted = [True, False, False]
        assert flags == wanted
        assert out.is_flag == (compares or asks or (function == "copy" and flags[0]))


def test_a_slice_of_all_is_the_array():
    def short(p, g, *, lr):
        p -= lr * g

    def long(p, g, *, lr):
        p[:] -= lr * g[...]

    programs = [str(built(kernel)._passes["kernel"].program) for kernel in (short, long)]
    assert programs[0] == programs[1]


def test_what_a_kernel_does_reads_as_that():
    def kernel(p, g, n, *, lr, t):
        before = n
        n += lr / t
        p -= lr * xp.where((g > 0) & (n > 1), g, 0.5) ** 2
        g[...] = before

    program = built(kernel, start={"n": 0.0})._passes["kernel"].program
    assert str(program).splitlines() == [
        "t5 = divide(lr, t)",
        "t6 = add(n, t5)",
        "t7 = greater(t6, 1.0)",
        "t8 = greater(g, 0.0)",
        "t9 = logical_and(t8, t7)",
        "t10 = where(t9, g, 0.5)",
        "t11 = square(t10)",
        "t12 = multiply(lr, t11)",
        "p = subtract(p, t12)",
        "g = copy(t6)",
        "n = t6",
    ]
