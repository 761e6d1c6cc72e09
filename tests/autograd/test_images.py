"""Ops on images: both ways of a convolution, and what neither the table of ops nor the recorded
values show."""

import json
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_grads, convolution, ops, to_host, xp
from minigrad.convolution import axes_of, by_dft, by_patches, cheapest
from tests.driving import host_only

with np.load(Path(__file__).parents[1] / "oracles" / "ops.npz") as _file:
    RECORDED = [
        (case["kwargs"], _file[str(i)])
        for i, case in enumerate(json.loads(_file["cases"].item()))
        if case["op"] == "conv2d" and case["differentiable"] == [0, 1, 2]
        if _file[str(i)]["in0"].dtype == "float64"
    ]
ALWAYS = {by_patches: 0.0, by_dft: inf}
each_way = pytest.mark.parametrize("way", ALWAYS, ids=lambda way: way.__name__)


def take(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "SMALL_PRODUCTS", ALWAYS[way])


def gradients(x: Any, w: Any, b: Any, seed: Any, dtype: str, **options: Any) -> list[Any]:
    """The value and the gradients of all three."""
    leaves = [Tensor(a, requires_grad=True, dtype=dtype) for a in (x, w, b)]
    y = ops.conv2d(*leaves, **options)
    y.backward(seed)
    return [y.numpy(), *(to_host(leaf.grad) for leaf in leaves)]


def keeping_size(n: int, length: int = 12, c: int = 64, d: int = 64, k: int = 6) -> tuple[Any, Any]:
    """Axes and channels of a convolution that keeps the size."""
    return axes_of((n, length, length, c), (k, k), 1, "same"), (n, c, d)


def test_thirty_geometries_are_recorded() -> None:
    assert len({record["in0"].shape + record["in1"].shape for _, record in RECORDED}) == 30


@each_way
@pytest.mark.parametrize(("options", "record"), RECORDED)
def test_both_ways_have_the_values_and_gradients_of_torch(
    options: Any, record: Any, way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(way, monkeypatch)
    inputs = [record[f"in{i}"] for i in range(3)]
    found = gradients(*inputs, record["seed"], "float64", **options)
    expected = [record["out"], *(record[f"grad{i}"] for i in range(3))]
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, wanted, 0, 1e-12 * np.abs(wanted).max(), strict=True)
    check_grads(lambda x, w, b: ops.conv2d(x, w, b, **options), *inputs, tolerance=1e-7)


@each_way
def test_a_convolution_is_what_its_definition_says(
    way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(way, monkeypatch)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 7, 5, 3)), rng.normal(size=(4, 2, 3, 2))
    padded = np.pad(x, ((0, 0), (2, 1), (0, 1), (0, 0)))
    expected = np.empty((2, 3, 5, 2))
    for image, row, column, channel in np.ndindex(expected.shape):
        window = padded[image, 3 * row :, column:][:4, :2]
        expected[image, row, column, channel] = (window * w[..., channel]).sum()
    got = ops.conv2d(Tensor(x), Tensor(w), stride=(3, 1), padding=((2, 1), (0, 1)))
    np.testing.assert_allclose(got.numpy(), expected, 0, 1e-13)


@each_way
def test_pullbacks_are_functions_of_the_gradient_alone(way: Any) -> None:
    rng = np.random.default_rng(3)
    x, w, g, h = (
        xp.asarray(rng.normal(size=s)) for s in ((2, 4, 5, 2), (3, 2, 2, 3), *[(2, 2, 4, 3)] * 2)
    )
    _, dx, dw = way(x, w, axes_of(x.shape, w.shape, 1, 0))
    for pullback in (dx, dw):
        one, other = to_host(pullback(g)), to_host(pullback(h))
        np.testing.assert_allclose(to_host(pullback(g + h)), one + other, 1e-12, 1e-12)


@each_way
@pytest.mark.parametrize("n", [0, 1])
def test_a_batch_may_have_one_image_or_none(
    n: int, way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(way, monkeypatch)
    x, w, b = (np.ones(shape) for shape in ((n, 3, 4, 1), (2, 2, 1, 5), (5,)))
    y, dx, dw, db = gradients(x, w, b, np.ones((n, 2, 3, 5)), "float64")
    np.testing.assert_allclose(y, np.full((n, 2, 3, 5), 5.0))
    assert dx.shape == x.shape
    np.testing.assert_allclose(dw, np.full(w.shape, 6.0 * n))
    np.testing.assert_allclose(db, np.full(5, 6.0 * n))


@pytest.mark.parametrize("padding", ["same", "valid", 3, (2, 0), ((1, 2), (0, 3))])
@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (4, 4), (6, 5)])
def test_both_ways_give_the_same(
    kernel: Any, stride: Any, padding: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(3, 9, 7, 2)), rng.normal(size=(*kernel, 2, 3)), rng.normal(size=3)
    options = {"stride": stride, "padding": padding}
    shape = ops.conv2d(Tensor(x), Tensor(w), **options).shape
    if padding == "same":
        steps = stride if isinstance(stride, tuple) else (stride, stride)
        assert shape[1:3] == tuple(-(-n // s) for n, s in zip((9, 7), steps, strict=True))
    seed = rng.normal(size=shape)
    found = []
    for way in ALWAYS:
        take(way, monkeypatch)
        found.append(gradients(x, w, b, seed, "float64", **options))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, 1e-12, 1e-12)


@each_way
@pytest.mark.parametrize(
    ("length", "kernel", "c"), [(12, 6, 64), (16, 3, 64), (24, 6, 3), (8, 6, 1)]
)
def test_float32_errors_are_small(
    length: int, kernel: int, c: int, way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(8, length, length, c))
    w = rng.uniform(-1, 1, (kernel, kernel, c, 64)) / (kernel * c**0.5)
    x, w, b, seed = (
        a.astype("float32") for a in (x, w, np.zeros(64), rng.normal(size=(*x.shape[:3], 64)))
    )
    take(by_patches, monkeypatch)
    exact = gradients(x, w, b, seed, "float64", padding="same")
    take(way, monkeypatch)
    found = gradients(x, w, b, seed, "float32", padding="same")
    for got, wanted in zip(found[:3], exact[:3], strict=True):
        assert got.dtype == "float32"
        assert np.sqrt(((got - wanted) ** 2).mean() / (wanted**2).mean()) < 5e-7


@pytest.mark.parametrize(
    ("case", "way"),
    [
        (keeping_size(128), by_dft),
        (keeping_size(128, 16, k=3), by_dft),
        (keeping_size(128, 16, 128, 128, k=3), by_dft),
        (keeping_size(128, 24, c=3), by_patches),
        (keeping_size(128, 32, c=3), by_patches),
        (keeping_size(128, 8, c=1), by_patches),
        (keeping_size(128, 16, 64, 64, k=1), by_patches),
        (keeping_size(1, 8, 256, 256, k=3), by_patches),  # of which the kernels' DFT is most
    ],
)
def test_the_way_that_was_found_faster_is_chosen(case: Any, way: Any) -> None:
    axes, sizes = case
    assert cheapest(axes, *sizes) is way


class Counted(np.ndarray):
    """An array whose products of matrices are counted."""

    multiplications = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        inputs = tuple(np.asarray(x) for x in inputs)
        if "out" in options:
            options["out"] = tuple(np.asarray(x) for x in options["out"])
        out = getattr(ufunc, method)(*inputs, **options)
        if ufunc is np.matmul:
            Counted.multiplications += out.size * inputs[0].shape[-1]
        return out.view(Counted) if isinstance(out, np.ndarray) else out


@host_only
@pytest.mark.parametrize("way", [by_patches, by_dft])
@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((16, 12, 12, 8), (6, 6, 8, 8), (1, "same")),
        ((4, 15, 9, 3), (3, 5, 3, 7), (2, 1)),
        ((1, 16, 16, 8), (2, 2, 8, 16), (1, "valid")),
    ],
)
def test_what_is_counted_is_what_is_multiplied(
    shape: Any, kernel: Any, options: Any, way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = axes_of(shape, kernel, *options)
    counts = convolution.multiplications(axes, shape[0], *kernel[2:])
    x, w = (np.ones(s).view(Counted) for s in (shape, kernel))
    empty = np.empty
    monkeypatch.setattr(convolution.xp, "empty", lambda *a: empty(*a).view(Counted), False)
    Counted.multiplications = 0
    way(x, w, axes)
    if way is by_dft:  # a channel has so many frequencies that matter, which are counted as half
        counts[way] *= (axes[0].circle // 2 + 1) / (axes[0].circle / 2)
    assert Counted.multiplications == counts[way]


def test_ties_of_a_pool_share_the_gradient() -> None:
    x = Tensor(np.array([[3, 3, 1], [0, 3, 2.0]]).reshape(1, 2, 3, 1), requires_grad=True)
    ops.max_pool2d(x).backward(np.array([[[[6.0]]]]))
    np.testing.assert_array_equal(to_host(x.grad).reshape(2, 3), [[2, 2, 0], [0, 2, 0]])
    x.grad = None
    ops.max_pool2d(x, 2, 1).backward(np.array([[[[6.0], [8.0]]]]))
    np.testing.assert_array_equal(to_host(x.grad).reshape(2, 3), [[2, 6, 0], [0, 6, 0]])


def test_pixels_that_are_integers_are_converted() -> None:
    x = xp.asarray(np.arange(18, dtype=np.uint8).reshape(1, 3, 3, 2))
    w = Tensor(np.ones((2, 2, 2, 1)), requires_grad=True, dtype="float32")
    y = ops.conv2d(x, w)
    assert y.dtype == "float32" and y.numpy().ravel().tolist() == [36, 52, 84, 100]


X, W = Tensor(np.zeros((2, 5, 4, 3))), Tensor(np.zeros((3, 3, 3, 2)))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda: ops.conv2d(X[0], W), r"conv2d of shapes \(5, 4, 3\), .*: x and w must be \(n, h"),
        (lambda: ops.conv2d(X, W[:, :, :2]), r"x and w must be \(n, height, width, c\) and"),
        (lambda: ops.conv2d(X, W, xp.zeros(3)), r"b \(3,\) must have .* each of 2 channels"),
        (
            lambda: ops.conv2d(X, W, stride=0),
            "stride=0: give an integer from 1 on, or one",
        ),
        (lambda: ops.conv2d(X, W, stride=(1, 2, 3)), r"stride=\(1, 2, 3\): give an integer"),
        (lambda: ops.conv2d(X, W, padding=-1), 'padding=-1: give an .*, or "same" or "valid"'),
        (lambda: ops.conv2d(X, W, padding="full"), "padding='full': give an .*, or \"same\""),
        (
            lambda: ops.conv2d(X, W, padding=((0, -1), (0, 0))),
            r"padding=\(0, -1\): give an",
        ),
        (lambda: ops.conv2d(X, W, padding=0.5), "padding=0.5: give an integer from 0 on"),
        (
            lambda: ops.conv2d(X[:, :, :2], W),
            r"windows of \(3, 3\) do not fit into images of \(5, 2\) with padding=0; make them",
        ),
        (lambda: ops.max_pool2d(X, 6), r"windows of \(6, 6\) do not fit into images of \(5, 4\)"),
        (lambda: ops.max_pool2d(X, 0), "size=0: give an integer from 1 on"),
        (lambda: ops.avg_pool2d(X[0]), r"x must be \(n, height, width, channels\)"),
        (lambda: ops.local_response_norm(X, 0), "size=0: give .* at least 1"),
        (lambda: ops.dropout(X, 1, (0, 0)), "p=1 is no probability of dropping below 1"),
        (lambda: ops.dropout(X, -0.1, (0, 0)), "p=-0.1 is no probability"),
    ],
)
def test_what_does_not_fit_is_refused(f: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        f()


def masks(key: tuple[int, int], p: float = 0.5, size: int = 2**17) -> Any:
    """What dropout keeps of ones."""
    return ops.dropout(xp.ones(size), p, key).numpy() > 0


@pytest.mark.parametrize("p", [0.0, 0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("key", [(0, 0), (0, 1), (1, 0), (2**32 - 1, 2**32 - 1), (123, 45678)])
def test_dropout_drops_a_share_of_p(p: float, key: Any) -> None:
    dropped = 1 - masks(key, p).mean()
    assert abs(dropped - p) <= 4 * (p * (1 - p) / 2**17) ** 0.5


def test_what_is_kept_is_divided_by_its_probability() -> None:
    y = ops.dropout(xp.ones((100, 7)), 0.2, (1, 2)).numpy()
    assert set(y.ravel().tolist()) == {0.0, 1.25}


def test_masks_are_a_function_of_their_key() -> None:
    np.testing.assert_array_equal(masks((3, 4)), masks((3, 4)))
    for other in ((3, 5), (4, 4), (4, 3)):
        assert abs((masks((3, 4)) == masks(other)).mean() - 0.5) < 0.01


def test_bits_of_a_mask_are_as_independent_as_those_of_a_generator() -> None:
    """Correlations of a mask with itself, moved, and with those of other keys, moved; none is
    larger than so many of independent bits may be."""
    size, worst = 2**17, 0.0
    keys = [(7, count) for count in range(12)] + [(seed, 3) for seed in range(100, 112)]
    spectra = [np.fft.rfft(2.0 * masks(key, size=size) - 1) for key in keys]
    for i, first in enumerate(spectra):
        for second in spectra[i:]:
            correlation = np.fft.irfft(first * second.conj(), size) / size**0.5
            if first is second:
                correlation[0] = 0
            worst = max(worst, np.abs(correlation).max())
    assert worst < 6.5  # standard deviations; of 4e7 normal numbers the largest is about 5.6


def test_runs_of_bits_are_equally_frequent() -> None:
    """Each of the 256 patterns of 8 bits in a row, and of 8 below each other in rows of 384."""
    bits = masks((11, 3), size=2**20)
    for step in (1, 384):
        places = np.arange(0, 2**20 - 8 * step, 8 if step == 1 else 1)[: 2**17]
        pattern = sum(bits[places + i * step].astype(int) << i for i in range(8))
        counts = np.bincount(pattern, minlength=256)
        chi2 = ((counts - len(places) / 256) ** 2).sum() / (len(places) / 256)
        assert abs(chi2 - 255) < 5 * (2 * 255) ** 0.5 * (1 if step == 1 else 3)
