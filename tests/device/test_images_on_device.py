"""What layers and CIFARNET cost on a GPU, counted on the stand-in, and that their numbers are
NumPy's."""

from typing import Any

import numpy as np
import pytest

import optim
from minigrad import Tensor, backend, convolution, ops, to_host
from minigrad.convolution import by_dft, by_patches
from models import CIFARNET
from tests.device import strict
from tests.device.strict import counting

LAUNCHES = {  # forward and backward
    "conv2d by DFT": (13, 16),
    "conv2d by patches": (5, 20),
    "max_pool2d": (3, 22),
    "avg_pool2d": (5, 7),
    "local_response_norm": (10, 8),
    "dropout": (31, 2),
}
OF_A_STEP = 193  # of CIFARNET on 24x24, with AMSGrad


@pytest.fixture(autouse=True)
def on_the_stand_in() -> Any:
    with backend.temporarily(strict.make()):
        yield


def layer(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function of images (2, 8, 8, 4) that requires all gradients."""
    rng = np.random.default_rng(0)
    w, b = (Tensor(rng.normal(size=s), requires_grad=True) for s in ((3, 3, 4, 4), (4,)))
    if name.startswith("conv2d"):
        way = by_dft if name.endswith("DFT") else by_patches
        monkeypatch.setattr(convolution, "cheapest", lambda *_: way)
        monkeypatch.setattr("minigrad.images.cheapest", lambda *_: way)
        return lambda x: ops.conv2d(x, w, b, padding="same")
    if name == "local_response_norm":
        return lambda x: ops.local_response_norm(x, 3)
    if name == "dropout":
        key = backend.xp.asarray(np.array([1, 2], "uint32"))
        return lambda x: ops.dropout(x, 0.5, key)
    return getattr(ops, name)


@pytest.mark.parametrize("name", LAUNCHES)
def test_a_layer_launches_so_many_kernels_and_moves_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    f, images = layer(name, monkeypatch), np.random.default_rng(1).normal(size=(2, 8, 8, 4))
    f(Tensor(images))  # moves what is constant
    x = Tensor(images, requires_grad=True)
    with counting() as forward:
        y = f(x)
    seed = backend.xp.ones(y.shape)
    with counting() as backward:
        y.backward(seed)
    counts = forward.pop("launches"), backward.pop("launches")
    with capsys.disabled():
        print(f"\n{name}: {counts[0]} launches forward, {counts[1]} backward")
    assert not forward and not backward and counts == LAUNCHES[name]


def trained(steps: int = 3) -> Any:
    """Losses and parameters of CIFARNET after some steps, and the cost of the last."""
    rng = np.random.default_rng(2)
    model = CIFARNET((24, 24, 3), 4, rng=0)
    opt = optim.AMSGrad(model.parameters(), lr=1e-3)
    x, y = (
        rng.normal(size=(steps, 4, 24, 24, 3)).astype("float32"),
        rng.integers(4, size=(steps, 4)),
    )
    losses = []
    for images, labels in zip(backend.xp.asarray(x), backend.xp.asarray(y), strict=True):
        with counting() as counted:
            opt.zero_grad()
            loss = model.loss(images, labels)
            loss.backward()
            opt.step()
        losses.append(loss)
    found = [loss.item() for loss in losses], to_host(model.parameters().data).copy()
    return found, counted


def test_a_step_of_cifarnet_neither_moves_nor_waits(capsys: Any) -> None:
    _, counted = trained()
    with capsys.disabled():
        print(f"\nCIFARNET: {counted['launches']} launches a step")
    assert dict(counted) == {"launches": OF_A_STEP}


def test_cifarnet_trains_to_the_numbers_of_numpy() -> None:
    (losses, params), _ = trained()
    with backend.temporarily(backend.Backend(block_bytes=None)):
        (expected, numbers), _ = trained()
    assert losses == expected
    np.testing.assert_array_equal(params, numbers)
