"""Layers on images, Dropout, and what train() and eval() change."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
import optim
from minigrad import (
    BatchNorm,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
    Tensor,
    no_grad,
    ops,
    to_host,
    xp,
)
from models import CIFARNET
from tests.driving import COPIES

IMAGES = np.random.default_rng(0).normal(size=(6, 8, 8, 1)).astype("float32")
LABELS = np.array([0, 2, 1, 1, 0, 2])
ONES = Tensor(np.ones((64, 32), "float32"))


def test_a_convolution_starts_uniform_within_the_bound_with_no_bias() -> None:
    layer = Conv2d(4, 64, (5, 3), rng=0)
    weight = layer.weight.numpy()
    assert weight.shape == (5, 3, 4, 64) and weight.dtype == "float32"
    bound = 60**-0.5
    assert np.abs(weight).max() <= bound
    np.testing.assert_allclose([weight.mean(), weight.std()], [0, bound / 3**0.5], atol=0.003)
    assert layer.bias.shape == (64,) and not layer.bias.numpy().any()
    assert layer.parameters().names == ("weight", "bias")


def test_layers_do_what_their_ops_do() -> None:
    x = Tensor(IMAGES)
    layer = Conv2d(1, 9, 3, stride=2, padding="same", rng=0)
    layer.bias.data = np.arange(9)
    pairs = [
        (layer(x), ops.conv2d(x, layer.weight, layer.bias, stride=2, padding="same")),
        (MaxPool2d(3, 2)(x), ops.max_pool2d(x, 3, 2)),
        (LocalResponseNorm(3, 0.1, 0.5, 2.0)(x), ops.local_response_norm(x, 3, 0.1, 0.5, 2.0)),
        (Flatten()(x), ops.reshape(x, 6, 64)),
    ]
    for got, expected in pairs:
        np.testing.assert_array_equal(got.numpy(), expected.numpy(), strict=True)
    assert Flatten()(x[:0]).shape == (0, 64)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(0, 3, 3), r"Conv2d\(0, 3\): both numbers must be at least 1"),
        (lambda: Conv2d(1, 3, 0), "size=0: give an integer from 1 on"),
        (lambda: CIFARNET((3, 8, 1)), r"shape=\(3, 8, 1\): give images of at least 4x4"),
        (lambda: Dropout(1.0), "p=1.0 is no probability"),
    ],
)
def test_bad_sizes_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_modes_reach_every_module_and_are_given_back() -> None:
    inner = Dropout(rng=0)
    model = Sequential(Linear(32, 4, rng=0), Sequential(ReLU(), inner))
    assert model.training and inner.training
    assert model.eval() is model and not model.training and not inner.training
    assert model.train() is model and model.training and inner.training
    inner.eval()
    assert model.training and not inner.training
    assert "training" not in model.state_dict()


def test_dropout_of_the_parts_of_a_batch_is_that_of_the_batch() -> None:
    whole, parts = (Dropout(0.5, rng=3) for _ in range(2))
    x = xp.ones((9, 4, 5))
    for masks in range(3):
        found = []
        for rows in (slice(0, 2), slice(2, 7), slice(7, 9)):
            parts.set_part(masks, rows.start)
            found.append(parts(x[rows]).numpy())
        expected = whole(x).numpy()
        np.testing.assert_array_equal(np.concatenate(found), expected)
        assert (expected[:2] != expected[2:4]).any()


def test_dropout_drops_in_training_alone() -> None:
    layer = Dropout(0.25, rng=0)
    first, second = layer(ONES).numpy(), layer(ONES).numpy()
    assert set(first.ravel()) == {0, np.float32(1 / 0.75)} and (first != second).any()
    with no_grad():  # which is not a mode
        assert (layer(ONES).numpy() == 0).any()
    layer.eval()
    assert layer(ONES) is ONES
    assert (layer(np.ones((2, 2), "float32")).numpy() == 1).all()


def test_an_evaluation_does_not_change_what_training_draws() -> None:
    def run(evaluated: bool) -> Any:
        layer = Dropout(rng=0)
        layer(ONES)
        if evaluated:
            layer.eval()(ONES)
        return layer.train()(ONES).numpy()

    np.testing.assert_array_equal(run(True), run(False))


def test_masks_depend_on_the_seed_and_differ_between_layers() -> None:
    rng = np.random.default_rng(0)
    one, other = (Dropout(rng=rng)(ONES).numpy() for _ in range(2))
    assert abs((one == other).mean() - 0.5) < 0.1
    np.testing.assert_array_equal(one, Dropout(rng=0)(ONES).numpy())


def test_a_loaded_model_goes_on_with_the_masks_of_the_saved_one(tmp_path: Any) -> None:
    model = Sequential(Linear(32, 16, rng=0), Dropout(rng=0))
    model(ONES)
    minigrad.save(tmp_path / "model.npz", model=model)
    expected = [model(ONES).numpy() for _ in range(3)]
    other = Sequential(Linear(32, 16, rng=1), Dropout(rng=1))
    other.load_state_dict(minigrad.load(tmp_path / "model.npz")["model"])
    for values in expected:
        np.testing.assert_array_equal(other(ONES).numpy(), values)


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_draws_the_same_masks_on_its_own(copied: Any) -> None:
    layer = Dropout(rng=0)
    layer(ONES)
    twin = copied(layer)
    expected = [layer(ONES).numpy() for _ in range(2)]
    for values in expected:
        np.testing.assert_array_equal(twin(ONES).numpy(), values)


def test_a_gradient_goes_where_the_mask_does() -> None:
    x = Tensor(np.ones((4, 5)), requires_grad=True)
    y = Dropout(rng=0)(x)
    y.backward(np.full((4, 5), 3.0))
    np.testing.assert_array_equal(to_host(x.grad), 3 * y.numpy())


@pytest.mark.parametrize("shape", [(8, 8, 1), (24, 24, 3), (32, 32, 3), (9, 14, 2), (4, 4, 1)])
def test_the_width_of_cifarnet_follows_the_image(shape: Any) -> None:
    model = CIFARNET(shape, 7, rng=0).eval()
    n_in = (shape[0] // 4) * (shape[1] // 4) * 64
    sizes = [36 * shape[2] * 64 + 64, 36 * 64 * 64 + 64]
    sizes += [n_in * 384 + 384, 384 * 192 + 192, 192 * 7 + 7]
    assert model.parameters().size == sum(sizes)
    assert model(np.zeros((2, *shape), "float32")).shape == (2, 7)


def test_cifarnet_is_the_layers_that_its_docstring_names() -> None:
    model = CIFARNET((8, 8, 1), 3, rng=0, dtype="float64").eval()
    w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = (Tensor(p.numpy()) for p in model.parameters())
    x = Tensor(IMAGES.astype(float))
    x = ops.max_pool2d(ops.relu(ops.conv2d(x, w1, b1, padding="same")))
    x = ops.conv2d(ops.local_response_norm(x, 9, 1e-3, 0.75, 1.0), w2, b2, padding="same")
    x = ops.relu(ops.max_pool2d(x)).reshape(6, -1)
    x = ops.relu(ops.relu(x @ w3 + b3) @ w4 + b4) @ w5 + b5
    np.testing.assert_allclose(model(IMAGES.astype(float)).numpy(), x.numpy(), 1e-12)


def test_cifarnet_is_deterministic_from_rng_and_learns() -> None:
    def losses(rng: Any) -> list[float]:
        model = CIFARNET((8, 8, 1), 3, rng=rng)
        opt = optim.Adam(model.parameters(), lr=2e-3)
        found = []
        for _ in range(15):
            opt.zero_grad()
            loss = model.loss(IMAGES, LABELS)
            loss.backward()
            opt.step()
            found.append(loss.item())
        return found

    assert losses(0) == losses(np.random.default_rng(0)) != losses(1)
    assert losses(0)[-1] < losses(0)[0] / 2


def test_batch_norm_keeps_running_statistics_for_eval(tmp_path: Path) -> None:
    """As PyTorch: biased variances in the value, and those of a sample kept."""
    rng = np.random.default_rng(0)
    batches = rng.normal(2, 3, (5, 4, 6, 3))
    layer = BatchNorm(3, momentum=0.2, dtype="float64")
    mean, var = np.zeros(3), np.ones(3)
    for x in batches:
        y = to_host(layer(x).data)
        np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-12)
        np.testing.assert_allclose(y.var((0, 1)), x.var((0, 1)) / (x.var((0, 1)) + 1e-5))
        mean += 0.2 * (x.mean((0, 1)) - mean)
        var += 0.2 * (x.var((0, 1), ddof=1) - var)
    assert layer.parameters().names == ("weight", "bias")
    minigrad.save(tmp_path / "model.npz", model=layer)
    other = BatchNorm(3, dtype="float64")
    other.load_state_dict(minigrad.load(tmp_path / "model.npz")["model"])
    for one in (layer.eval(), other.eval()):
        y = to_host(one(batches[0]).data)
        np.testing.assert_allclose(y, (batches[0] - mean) / np.sqrt(var + 1e-5), rtol=1e-12)
        np.testing.assert_allclose(to_host(one.mean.data), mean, rtol=1e-12)


def test_gradients_of_batch_norm_in_eval_go_through_neither_mean_nor_variance() -> None:
    layer = BatchNorm(2, dtype="float64").eval()
    layer.var.data = [3.0, 8.0]
    x = Tensor(np.ones((4, 2)), requires_grad=True)
    layer(x).sum().backward()
    np.testing.assert_allclose(to_host(x.grad)[0], np.array([3.0, 8.0]) ** -0.5, rtol=1e-5)


@pytest.mark.parametrize("momentum", [-0.1, 1.5, np.nan])
def test_batch_norm_refuses_a_momentum_out_of_range(momentum: float) -> None:
    with pytest.raises(ValueError, match="momentum"):
        BatchNorm(2, momentum)


def test_layer_norm_and_embedding_are_their_ops() -> None:
    norm, table = LayerNorm(3), Embedding(5, 3, rng=0)
    rows = table(np.array([4, 0, 4]))
    np.testing.assert_array_equal(to_host(rows.data), to_host(table.weight.data)[[4, 0, 4]])
    y = norm(rows)
    y.backward(np.ones((3, 3), "float32"))
    np.testing.assert_allclose(to_host(y.data).mean(1), 0, atol=1e-6)
    assert set(np.flatnonzero(to_host(norm.bias.grad))) == {0, 1, 2}
    assert table.parameters().names == ("weight",) and norm.parameters().names == ("weight", "bias")
    assert abs(float(to_host(Embedding(200, 50, rng=1).weight.data).std()) - 1) < 0.02
