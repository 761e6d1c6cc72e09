"""Rules of one's own for the tests of the engine: small ones, and random ones."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import optim
from minigrad import backend
from minigrad.backend import xp
from optim.engine import optimizer
from optim.engine.eager import Number
from optim.engine.floating import quietly
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.symbols import Symbol
from tests.driving import assert_identical, tensors


def rule(kernel: Callable[..., Any], **members: Any) -> type[Optimizer]:
    """The rule of this kernel, with an lr of .5 and these members, which RULES does not keep.

    `start` may be a dictionary. A type among the members is that of the field of this name.
    """
    annotations = {"lr": optim.Rate, **members.pop("annotations", {})}
    begin = members.pop("start", None)
    if begin is not None:
        members["start"] = begin if callable(begin) else lambda self, p: dict(begin)
    names = {"__annotations__": annotations, "lr": 0.5, "kernel": inplace(kernel), **members}
    made = type("Own", (Optimizer,), names)
    del optim.RULES["own"]
    return made


def built(kernel: Callable[..., Any], size: int = 3, dtype: str = "float64", **members: Any) -> Any:
    """Its optimizer of so many coordinates, which are 1, 2, ...."""
    settings = {name: members.pop(name) for name in ("eager", "projection") if name in members}
    return rule(kernel, **members)(
        tensors(np.arange(1, size + 1, dtype=dtype), [(size,)]), **settings
    )


numba_only = pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
every_executor = pytest.mark.parametrize(
    "executor", ("traced", "eager", pytest.param("numba", marks=numba_only))
)
LARGE = 2**19  # bytes of a block, unless a test wants many of them


@contextmanager
def executing(executor: str, block_bytes: int = LARGE) -> Iterator[None]:
    """Optimizers that are built and stepped inside are played by NumPy from a trace, called as
    they are, or compiled by numba."""
    made = backend.make("numba" if executor == "numba" else "numpy")
    chosen = backend.temporarily(dataclasses.replace(made, block_bytes=block_bytes))
    with chosen, optim.eager() if executor == "eager" else nullcontext():
        yield


@contextmanager
def unchecked() -> Iterator[None]:
    """Inside, steps take gradients that are not finite, and no arithmetic on arrays raises."""
    with pytest.MonkeyPatch.context() as patch:
        if find_spec("numba"):
            from optim.engine import loop

            patch.setattr(loop, "RAISING", 0)
        patch.setattr(optimizer, "raising", quietly)
        patch.setattr(optimizer, "squares_finite", lambda params: True)
        with np.errstate(all="ignore"):
            yield


def assert_same_bits(got: dict[str, Any], expected: dict[str, Any]) -> None:
    """As assert_identical, where any NaN is as good as another."""

    def plain(array: Any) -> Any:
        return np.where(np.isnan(array), np.array(np.nan, array.dtype), array)

    assert_identical(
        {n: plain(a) for n, a in got.items()}, {n: plain(a) for n, a in expected.items()}
    )


# Kernels of many kinds


def written_late(p, g, *, lr):
    t = 2 * p
    u = t + g
    xp.add(g, 1, out=t)
    p[...] = u + t
    p -= lr * g


def chosen_from_a_temporary(p, g, *, lr):
    p -= xp.where(g > 0, 2 * g, 0.5)
    p -= lr * g


def used_twice_at_once(p, g, *, lr):
    t = 2 * g
    u = t * t
    v, w = 3 * u, 4 * u
    p += v
    p += w
    p -= lr * g


def flags_in_the_memory_of_others(p, g, *, lr):
    above = g > 0
    both = above & (p > 0)
    above |= p > 2
    p -= xp.where(both, g, 0.0) + xp.where(~above, p, 1.0)
    p -= lr * g


def a_copy_of_a_temporary(p, g, *, lr):
    t = 2 * g
    u = t.copy()
    t *= 3
    p -= t * u
    p -= lr * g


def whole_slices(p, g, *, lr):
    p[:] -= g[...] * 2
    p[...] = p[:] + 1
    g[:] = 0
    p -= lr * g


def changes_its_gradient(p, g, *, lr):
    g *= 0.5
    p -= g
    p -= lr * g


def flags_as_numbers(p, g, *, lr):
    p[...] = (g > 0) * 0.1 + (p > 1)
    xp.greater(p, g, out=g)
    p -= g
    p -= lr * g


def literals_of_many_kinds(p, g, *, lr):
    p[...] = np.float64(0.1) * g
    p *= np.array(0.3)
    p *= 3 * np.float32(0.7)
    p *= True * lr


def chosen_then_multiplied(p, g, *, lr):
    t = 2 * g
    p -= t * xp.where(t > 0.3, 0.1, 0.7) * xp.where(lr > 1, t, 0.3)


def flags_of_numbers(p, g, *, lr):
    low, high = lr < 0.5, lr > 1.5
    either = low | high
    either &= ~(high & low)
    p -= xp.where(either & (g > 0), g, 0.1) * (low * 0.3 + high)


def powers(p, g, *, lr):
    p -= g**2 * lr**2 + abs(g) ** 0.5 * lr**0.5 - ((2 + abs(g)) ** -1) * lr**-1 + g**1 * lr**1
    g **= np.float32(2)


every_kind = pytest.mark.parametrize(
    "kernel",
    (
        written_late,
        chosen_from_a_temporary,
        used_twice_at_once,
        flags_in_the_memory_of_others,
        a_copy_of_a_temporary,
        whole_slices,
        changes_its_gradient,
        flags_as_numbers,
        literals_of_many_kinds,
        chosen_then_multiplied,
        flags_of_numbers,
        powers,
    ),
    ids=lambda kernel: kernel.__name__,
)


# Random kernels: what may be done with three of the values so far, and what is done with the result

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "x + y": lambda x, y, z: x + y,
    "2 - x": lambda x, y, z: 2 - x,
    "x - y": lambda x, y, z: x - y,
    "x * y, kept small": lambda x, y, z: xp.minimum(xp.maximum(x * y, -3), 3.0),
    "x / (1 + y * y)": lambda x, y, z: x / (1 + xp.square(xp.minimum(abs(y), 3))),
    "sqrt": lambda x, y, z: xp.sqrt(abs(x)),
    "-x": lambda x, y, z: -x,
    "sign": lambda x, y, z: xp.sign(x),
    "maximum": lambda x, y, z: xp.maximum(x, 0.5 * y),
    "minimum": lambda x, y, z: xp.minimum(x, y),
    "where": lambda x, y, z: xp.where(x > y, z, 0.25),
    "where of literals": lambda x, y, z: xp.where(x >= 0.5 * y, 0.1, -0.3),
    "-0": lambda x, y, z: x * -0.0 + 0.0,
    "mask": lambda x, y, z: z * (x != y),
    "truth": lambda x, y, z: xp.where(xp.logical_or(x, y - y), z, xp.logical_not(z) * 0.5),
    "a copied mask": lambda x, y, z: z * ~(x < y).copy(),
    "both": lambda x, y, z: xp.where((x > 0) & ~(y > z), z, x),
    "x ** 2": lambda x, y, z: xp.minimum(abs(x), 3) ** 2,
    "x": lambda x, y, z: x,
    "x.copy()": lambda x, y, z: x.copy(),
}
HOW = ("new", "+=", "*=", "[...] =", "out=", "compared, out=")
statements = st.lists(
    st.tuples(
        st.sampled_from([*ARITHMETIC]), st.tuples(*[st.integers(0, 9)] * 4), st.sampled_from(HOW)
    ),
    max_size=12,
)


def random_kernel(made: list[Any], keep: Callable[[Any], Any] = lambda x: x) -> Callable[..., None]:
    """The kernel of these statements.

    `keep` is called with every result, so that plain NumPy can make arrays of its scalars.
    """

    def kernel(p: Any, g: Any, m: Any, n: Any, *, lr: Any, t: Any) -> None:
        values = [p, g, m, n, lr, t]
        for name, places, how in made:
            *given, target = (values[-1 - i % len(values)] for i in places)
            value = keep(ARITHMETIC[name](*given))
            fixed = target is lr or target is t
            if how == "new" or fixed or (is_array(value) and not is_array(target)):
                values.append(value)
            elif how == "+=":
                target += value
            elif how == "*=":
                target *= xp.minimum(abs(value), 1.5)
            elif how == "[...] =":
                target[...] = value
            elif how == "out=":
                xp.add(value, 1, out=target)
            else:
                xp.greater(value, 0.1, out=target)
        for value in values:
            p += 0.5 * value

    return kernel


def is_array(x: Any) -> bool:
    """Whether a kernel's value is one, not a number."""
    if isinstance(x, Symbol):
        return x._value.is_array
    return not isinstance(x, Number) and np.ndim(x) > 0
