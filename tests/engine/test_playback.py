"""Playback gives the bits of the kernel called with NumPy's arrays, whatever is written in it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.backend import xp
from optim.engine.hoist import Hoisted
from optim.engine.playback import Playback, allocated
from optim.engine.signature import signature_of
from optim.engine.trace import trace
from tests.driving import drive, flat, host_only, tensors
from tests.engine.kernels import assert_same_bits, every_kind, random_kernel, rule, statements

pytestmark = host_only
NUMBERS = frozenset({"n"})


def traced(kernel):
    names, keywords, _ = signature_of(kernel)
    return trace(kernel, names, NUMBERS.intersection(names), tuple((k, 0) for k in keywords))


def play(kernel, blocks, numbers, threads=1):
    """Playback of the kernel over blocks, which are dictionaries of arrays; the numbers after."""
    program = traced(kernel)
    hoisted, ends = Hoisted(program), np.cumsum([0, *(len(block["p"]) for block in blocks)])
    given = hoisted([numbers[name] for name in hoisted.arguments])
    met, kept = given[: len(program.met)], given[len(program.met) :]
    here = [slice(*pair) for pair in pairwise(ends)]
    shapes, dtype = [np.shape(x) for x in met], blocks[0]["p"].dtype
    with np.errstate(all="ignore"):
        Playback(program, list(zip(here, blocks, strict=True)), shapes, dtype, threads)(met, bool)
    return numbers | dict(zip(program.changed, kept, strict=True))


def call(kernel, blocks, numbers):
    """The kernel itself on the blocks, with 0-d arrays for numbers."""
    for block in blocks:
        after = {name: np.array(value) for name, value in numbers.items()}
        names, keywords, _ = signature_of(kernel)
        with np.errstate(all="ignore"):
            kernel(*[(block | after)[name] for name in names], **{k: after[k] for k in keywords})
    return {name: float(value) for name, value in after.items()}


def both_ways(kernel, blocks, numbers, threads=1, reference=None):
    """Plays the kernel, and calls it, or `reference`, on copies; what is there after must agree."""
    copies = [{name: array.copy() for name, array in block.items()} for block in blocks]
    kept = play(kernel, blocks, numbers, threads)
    expected = call(reference or kernel, copies, numbers)
    for got, want in zip(blocks, copies, strict=True):
        assert_same_bits(got, want)
    for name in NUMBERS & expected.keys():
        assert_same_bits({name: np.float64(kept[name])}, {name: np.float64(expected[name])})


SPECIAL = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 1e300])


@given(
    made=statements,
    widths=st.lists(st.sampled_from([1, 2, 7]), min_size=1, max_size=3),
    special=st.booleans(),
    threads=st.integers(1, 2),
)
def test_any_kernel(made, widths, special, threads):
    """Temporaries in the memory of others, names of the same array or number, changes in place."""
    rng = np.random.default_rng(0)
    draw = (lambda n: rng.choice(SPECIAL, n)) if special else (lambda n: rng.normal(size=n))
    blocks = [{name: draw(n) for name in ("p", "g", "m")} for n in widths]
    numbers = {"n": 0.5, "lr": 0.7, "t": 3.0}
    plain = random_kernel(made, np.asarray)
    both_ways(random_kernel(made), blocks, numbers, threads, reference=plain)


@every_kind
@pytest.mark.parametrize("size", (1, 5))
def test_kernels_of_many_kinds(kernel, size):
    rng = np.random.default_rng(1)
    blocks = [{"p": rng.normal(size=size), "g": rng.normal(size=size)} for _ in range(2)]
    both_ways(kernel, blocks, {"lr": 0.25})


def test_a_lone_coordinate_is_alone():
    def without_eps(p, g, v, *, lr):
        v += g * g
        p -= lr * g / xp.sqrt(v)

    [opt] = [rule(without_eps)(tensors(np.ones(1), [(1,)]))]
    rows = drive(opt, [[2.0], [-2.0]])  # what lies beside it would be 0/0
    np.testing.assert_allclose(rows[:, 0], [0.5, 0.5 + 0.5 / np.sqrt(2)], rtol=1e-15)


def test_temporaries_take_turns():
    def kernel(p, g):
        for _ in range(9):
            p += (2 * g) * (3 * g) + (4 * g) * (5 * g)

    program = traced(kernel)
    assert allocated(program, "float64")[1] == ["float64"] * 3
    block = {"p": np.ones(3), "g": np.ones(3)}
    [mine], [another] = Playback(program, [(slice(0, 3), block)], [], "float64", threads=2)._bound
    for (_, *here), (_, *there) in zip(mine, another, strict=True):
        assert np.shares_memory(here[-1], there[-1]) == (here[-1] is block["p"])


@given(made=statements)
def test_no_more_memory_than_what_lives_at_once(made):
    program = traced(random_kernel(made))
    loop, (slots, kinds) = program.loop, allocated(program, "float64")
    last = {x: k for k, entry in enumerate(loop) for x in (*entry.inputs, entry.out)}
    first = {entry.out: k for k, entry in reversed([*enumerate(loop)]) if not entry.out.name}
    assert slots.keys() == first.keys()
    signs = sum(entry.function == "sign" for entry in loop)  # each may have memory more
    for kind, is_flag in (("float64", False), (bool, True)):
        own = [x for x in first if x.is_flag == is_flag]
        living = [sum(first[x] <= k <= last[x] for x in own) for k in range(len(loop))]
        assert kinds.count(kind) <= max(living) + (0 if is_flag else signs)
        for x in own:
            assert kinds[slots[x]] == kind


def test_signs_are_not_taken_in_place():
    """Ten times slower."""

    def kernel(p, g):
        p -= 2 * xp.sign(3 * g)

    program = traced(kernel)
    slots, kinds = allocated(program, "float64")
    sign = next(entry for entry in program.loop if entry.function == "sign")
    assert slots[sign.out] != slots[sign.inputs[0]]
    assert len(kinds) == 2


def test_a_number_that_turns_to_minus_0_is_passed_on():
    def adds(p, g, *, lr, t):
        p *= 0
        p += xp.where(t > 1, -0.0, 0.0) * lr
        p *= -1.0

    opt = rule(adds)(tensors(np.zeros(2), [(2,)]))
    rows = drive(opt, np.zeros((2, 2)))
    assert np.signbit(rows).tolist() == [[True, True], [False, False]]


def test_literals_of_0_and_minus_0_are_two():
    def adds(p, g, m, *, lr):
        m[...] = -0.0
        p[...] = 0.0
        p += lr * g

    opt = rule(adds)(tensors(np.ones(2), [(2,)]))
    drive(opt, np.full((1, 2), -0.0))
    assert np.signbit(opt.state["m"]).all() and not np.signbit(flat(opt.params)).any()


@pytest.mark.parametrize("size", (1, 2, 7, 1_001))
def test_errors_on_arrays(size):
    x0, place = np.ones(size, "float32"), size // 2
    for line, bad, said in (
        ("p -= g * g", 1e30, "overflow"),
        ("p -= lr / (g - 2)", 2.0, "divide by zero"),
        ("p -= (g - 2) / (g - 2)", 2.0, "invalid value"),
        ("p -= xp.sqrt(g)", -2.0, "invalid value"),
    ):
        namespace = {"xp": xp}
        exec(f"def kernel(p, g, *, lr):\n    {line}\n    p -= lr * g", namespace)
        opt = rule(namespace["kernel"])(tensors(x0, [(size,)]))
        g = np.ones(size)
        drive(opt, [g])
        g[place] = bad
        with pytest.raises(FloatingPointError, match=rf"Own\(lr=0.5\) at step 2: {said}") as raised:
            drive(opt, [g])
        assert f" in float32; the largest gradient is {abs(bad):.3g}, of params" in str(
            raised.value
        )
