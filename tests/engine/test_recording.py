"""Recorded kernels give the bits of the kernels themselves; what cannot be recorded is called."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optim.engine.recording import Playback, record

import optim
from minigrad import Tensor
from minigrad.backend import xp
from optim.engine.optimizer import Optimizer, inplace
from tests.driving import (
    assert_identical,
    both_dtypes,
    cut_into,
    drive,
    end,
    gradients,
    host_only,
    start,
    tensors,
)
from tests.rules.table import every_flat_rule

pytestmark = host_only
GRADS = gradients(6)


@every_flat_rule
@both_dtypes
@pytest.mark.parametrize("box", (None, optim.Box(-0.6, 0.9)), ids=("free", "box"))
def test_every_rule(rule, dtype, box, monkeypatch):
    ends = []
    for recorded, block_bytes, threads in ((False, None, 1), (True, None, 1), (True, 64, 3)):
        cut_into(monkeypatch, block_bytes)
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        opt = rule(tensors(start(dtype)), lr=lambda t: 0.03 * 0.9**t, projection=box)
        for one in opt._passes.values():
            one.recorded = recorded
        drive(opt, GRADS)
        ends.append(end(opt))
        played = [any(one._playbacks.values()) for one in opt._passes.values()]
        assert played == [recorded] * len(played)
    assert_identical(ends[1], ends[0])
    assert_identical(ends[2], ends[0])


NAMES = ("p", "g", "rows", "number", "a")
STATEMENTS = {  # what a kernel may do with three of its values
    "x + y": lambda x, y, z: x + y,
    "x * 2": lambda x, y, z: x * 2,
    "3 - x": lambda x, y, z: 3 - x,
    "abs(x)": lambda x, y, z: abs(x),
    "-x": lambda x, y, z: -x,
    "maximum": lambda x, y, z: xp.maximum(x, 0.5 * y),
    "where": lambda x, y, z: xp.where(x > y, z, 0.25),
    "mask": lambda x, y, z: z * (x == y),
    "x": lambda x, y, z: x,
}


@given(
    statements=st.lists(
        st.tuples(
            st.sampled_from([*STATEMENTS]),
            st.tuples(*[st.integers(0, 9)] * 4),
            st.sampled_from(["new", "+=", "[...] =", "out="]),
        ),
        max_size=12,
    ),
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    rows=st.sampled_from([(3,), ()]),
)
def test_any_kernel_of_calls(statements, widths, rows):
    """Temporaries in the memory of others, names that share an array, rows and single numbers."""

    def kernel(p, g, rows, number, *, a):
        values = [p, g, rows, number, a]
        for name, places, how in statements:
            *operands, target = (values[-1 - i % len(values)] for i in places)
            value = STATEMENTS[name](*operands)
            like, into = (np.asarray(getattr(x, "sample", x)) for x in (value, target))
            fits = target is not a and like.ndim <= into.ndim and like.dtype == into.dtype == float
            if how == "new" or not fits:
                values.append(value)
            elif how == "+=":
                target += (
                    value  # which leaves as it was what else is called by its name, of a number
                )
                values.append(target)
            elif not into.ndim and target is not number:
                values.append(value)
            elif how == "[...] =":
                target[...] = value
            else:
                values.append(xp.add(value, 1, out=target))
        if np.ndim(getattr(values[-1], "sample", values[-1])) < 2:
            p += values[-1]

    rng = np.random.default_rng(0)
    blocks = [
        {"p": rng.normal(size=n), "g": rng.normal(size=n), "rows": rng.normal(size=(*rows, n))}
        for n in widths
    ]
    for block in blocks:
        block["number"] = np.array(0.5)
    expected = [{name: array.copy() for name, array in block.items()} for block in blocks]
    recording = record(kernel, blocks[0], {"a": np.array(1.0)})
    Playback(recording, blocks, {"a": np.array(1.0)}, 1)({"a": np.array(0.7)})
    for block, want in zip(blocks, expected, strict=True):
        kernel(*want.values(), a=np.array(0.7))
        assert_identical(block, want)
    live = {id(x) for call in recording.calls for x in (*call.inputs, call.out)}
    assert len(recording.temporaries) <= len(live)


def written_late(p, g):
    t = 2 * p
    u = t + g
    xp.add(g, 1, out=t)
    p[...] = u


def chosen_from_a_temporary(p, g):
    p -= xp.where(g > 0, 2 * g, 0.5)


def used_twice_at_once(p, g):
    t = 2 * g
    u = t * t
    v, w = 3 * u, 4 * u
    p += v
    p += w


def number_with_two_names(p, g, *, a):
    x = a * 2
    y = x
    x += 1
    p -= x * g + y


@pytest.mark.parametrize(
    "function",
    [written_late, chosen_from_a_temporary, used_twice_at_once, number_with_two_names],
    ids=lambda function: function.__name__,
)
def test_temporaries_are_kept_as_long_as_they_are_needed(function):
    scalars = {"a": np.array(3.0)} if function is number_with_two_names else {}
    arrays = {"p": np.array([1.0, 2.0, 3.0]), "g": np.array([0.5, -1.0, 4.0])}
    want = {name: array.copy() for name, array in arrays.items()}
    Playback(record(function, arrays, scalars), [arrays], scalars, 1)(scalars)
    function(**want, **scalars)
    assert_identical(arrays, want)


def looks(p, g, *, lr):
    p -= lr * g if g[0] > 0 else 2 * lr * g


def cuts(p, g, *, lr):
    p[1:] -= lr * g[:-1]


def brings_an_array(p, g, *, lr):
    p -= lr * (g + np.array([1.0, 2.0, 3.0]))


ELSEWHERE = np.zeros(3)


def writes_elsewhere(p, g, *, lr):
    xp.multiply(g, lr, out=ELSEWHERE)
    p -= ELSEWHERE


def masks(p, g, *, lr):
    xp.subtract(p, lr * g, out=p, where=g > 0)


def squares(p, g, *, lr):
    p -= lr * g**2


def clips(p, g, *, lr):
    p -= lr * np.clip(g, -1, 1)


def copies(p, g, *, lr):
    np.copyto(p, lr * g)


def prints(p, g, *, lr):
    print(p, g)
    p -= lr * g


def asks_for_the_size(p, g, *, lr):
    p -= lr * g / p.size


def splits(p, g, *, lr):
    p -= lr * np.modf(g)[0]


@pytest.mark.parametrize(
    "function",
    [
        looks,
        cuts,
        brings_an_array,
        writes_elsewhere,
        masks,
        squares,
        clips,
        copies,
        prints,
        asks_for_the_size,
        splits,
    ],
    ids=lambda function: function.__name__,
)
def test_what_cannot_be_recorded_is_called(function):
    class Odd(Optimizer):
        lr: float = 0.1
        kernel = inplace(function)

    del optim.RULES["odd"]
    [x] = tensors(np.array([1.0, -2.0, 3.0]), [(3,)])
    opt = Odd([x])
    for g in ([0.5, -0.25, 2.0], [-1.0, -2.0, -3.0]):  # the second takes another branch
        want = x.numpy().copy()
        function(want, np.array(g), lr=np.array(0.1))
        x.grad = np.array(g)
        opt.step()
        np.testing.assert_array_equal(x.numpy(), want, strict=True)
    assert list(opt._passes["kernel"]._playbacks.values()) == [None]


def reduces(p, g, *, lr):
    p -= lr * g / xp.sqrt((g * g).sum())


def reduces_by_function(p, g, *, lr):
    p -= lr * g / np.max(g)


def reduces_by_ufunc(p, g, *, lr):
    p -= lr * xp.add.reduce(g)


def multiplies(p, g, *, lr):
    p -= lr * (g @ g)


def halves_its_scalar(p, g, *, lr):
    lr *= 0.5
    p -= lr * g


def names_the_result_p(p, g, m, *, lr):
    m += g
    p = p - lr * m


@pytest.mark.parametrize(
    "function, said",
    [
        (reduces, "so sum would be of that block; set per_tensor = True"),
        (reduces_by_function, "so max would be of that block"),
        (reduces_by_ufunc, "so add would be of that block"),
        (multiplies, "so matmul would be of that block"),
        (halves_its_scalar, "halves_its_scalar changes lr, a single number.* half = 0.5 [*] lr"),
        (names_the_result_p, r"names_the_result_p computes subtract\(p, t0\).* write p -= "),
    ],
)
def test_what_would_be_wrong_in_silence_is_refused(function, said):
    class Odd(Optimizer):
        lr: float = 0.1
        kernel = inplace(function)

    del optim.RULES["odd"]
    opt = Odd(tensors(np.ones(3), [(3,)]))
    with pytest.raises(TypeError, match=said):
        opt.step()
    np.testing.assert_array_equal(end(opt)["p"], np.ones(3))


def test_an_error_of_a_kernel_is_not_taken_for_one_that_cannot_be_recorded():
    class Wrong(Optimizer):
        lr: float = 0.1

        @inplace
        def kernel(p, g, *, lr):
            p -= lr * g.nonsense_that_no_array_has()

    del optim.RULES["wrong"]
    [x] = tensors(np.ones(3), [(3,)])
    x.grad = np.ones(3)
    with pytest.raises(AttributeError, match="nonsense"):
        Wrong([x]).step()


def test_a_lone_coordinate_is_alone():
    class NoEps(Optimizer):
        lr: float = 0.1

        @inplace
        def kernel(p, g, v, *, lr):
            v += g * g
            p -= lr * g / xp.sqrt(v)

    del optim.RULES["noeps"]
    x = Tensor([1.0], requires_grad=True, dtype="float64")
    rows = drive(NoEps([x]), [[2.0], [-2.0]])  # what lies beside it would be 0/0
    np.testing.assert_allclose(rows[:, 0], [0.9, 0.9 + 0.1 / np.sqrt(2)], rtol=1e-15)


def test_temporaries_take_turns():
    def kernel(p, g):
        for _ in range(9):
            p += (2 * g) * (3 * g) + (4 * g) * (5 * g)

    arrays = {"p": np.ones(3), "g": np.ones(3)}
    recording = record(kernel, arrays, {})
    assert len(recording.temporaries) == 3
    [mine], [another] = Playback(recording, [arrays], {}, threads=2).bound
    for (_, here), (_, there) in zip(mine, another, strict=True):
        assert np.shares_memory(here[-1], there[-1]) == (here[-1] is arrays["p"])


def test_signs_are_not_taken_in_place():
    def kernel(p, g):
        p -= 2 * xp.sign(3 * g)

    recording = record(kernel, {"p": np.ones(3), "g": np.ones(3)}, {})
    assert "t1 = sign(t0)" in str(recording).splitlines()


def test_it_reads_as_what_it_does():
    def kernel(p, g, *, lr):
        p -= lr * xp.where(g > 0, g, 0.5)

    recording = record(kernel, {"p": np.ones(3), "g": np.ones(3)}, {"lr": np.array(1.0)})
    assert str(recording).splitlines() == [
        "t0 = greater(g, 0)",
        "t1 = where(t0, g, 0.5)",
        "t1 = multiply(lr, t1)",
        "p = subtract(p, t1)",
    ]
