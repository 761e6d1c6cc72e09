"""Modules, layers and the models."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optim
from minigrad import (
    Linear,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Tensor,
    check_grads,
    ops,
    to_host,
    xp,
)
from models import MLP, LogisticRegression
from tests.driving import COPIES

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
Y = np.array([0, 2, 1, 1, 0, 2])
INPUT = Tensor(X)

MODELS: list[Callable[[Any], Any]] = [
    lambda rng: Linear(4, 3, rng=rng),
    lambda rng: LogisticRegression(4, 3, rng=rng),
    lambda rng: MLP([4, 5, 3], rng=rng),
]


def flat(model: Module) -> Any:
    return to_host(model.parameters().data).copy()


@pytest.mark.parametrize("make", MODELS)
def test_models_are_deterministic_from_rng(make: Callable[[Any], Any]) -> None:
    first = flat(make(0))
    np.testing.assert_array_equal(flat(make(0)), first, strict=True)
    np.testing.assert_array_equal(flat(make(np.random.default_rng(0))), first, strict=True)
    assert (flat(make(1)) != first).any() and (flat(make(None)) != first).any()
    one = np.random.default_rng(0)
    assert (flat(make(one)) != flat(make(one))).any()


def test_the_layers_of_an_mlp_differ() -> None:
    model = MLP([4, 4, 4], rng=0)
    assert (model.hidden.layers[0].weight.numpy() != model.output.weight.numpy()).all()


def test_linear_starts_uniform_within_the_bound_with_no_bias() -> None:
    layer = Linear(25, 400, rng=0)
    weight = layer.weight.numpy()
    assert weight.shape == (25, 400) and weight.dtype == "float32"
    assert np.abs(weight).max() <= 0.2
    np.testing.assert_allclose([weight.mean(), weight.std()], [0, 0.2 / 3**0.5], atol=0.005)
    assert layer.bias.shape == (400,) and not layer.bias.numpy().any()
    assert layer.weight.requires_grad and layer.bias.requires_grad


@pytest.mark.parametrize("layer", [ReLU(), Tanh(), Sigmoid()])
def test_activations(layer: Module) -> None:
    expected = {"ReLU": np.maximum(X, 0), "Tanh": np.tanh(X), "Sigmoid": 1 / (1 + np.exp(-X))}
    np.testing.assert_allclose(layer(INPUT).numpy(), expected[type(layer).__name__], 1e-6)


def test_sequential_applies_its_layers_in_order() -> None:
    one, two = Linear(4, 4, rng=0), Linear(4, 4, rng=1)
    expected = two(Tanh()(one(INPUT))).numpy()
    np.testing.assert_array_equal(
        Sequential(one, Tanh(), two)(INPUT).numpy(), expected, strict=True
    )
    assert Sequential(one, Tanh(), two).parameters().names[2] == "2.weight"
    assert (Sequential(two, Tanh(), one)(INPUT).numpy() != expected).any()


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_an_mlp_is_linear_maps_with_activations_between(activation: str) -> None:
    model = MLP([4, 5, 6, 3], activation, rng=0, dtype="float64")
    model.parameters().data[:] += 0.1  # biases other than zero
    w1, b1, w2, b2, w3, b3 = (t.numpy() for t in model.parameters())
    act = {
        "relu": lambda x: np.maximum(x, 0),
        "tanh": np.tanh,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    }[activation]
    expected = act(act(X @ w1 + b1) @ w2 + b2) @ w3 + b3
    np.testing.assert_allclose(model(Tensor(X.astype(float))).numpy(), expected, 1e-12, strict=True)
    assert model.parameters().dtype == "float64"


def test_an_mlp_of_two_sizes_is_logistic_regression() -> None:
    one, other = MLP([4, 3], rng=0), LogisticRegression(4, 3, rng=0)
    np.testing.assert_array_equal(one(INPUT).numpy(), other(INPUT).numpy(), strict=True)
    assert one.parameters().names == ("output.weight", "output.bias")


@pytest.mark.parametrize("make", MODELS[1:])
def test_the_loss_takes_arrays_or_tensors(make: Callable[[Any], Any]) -> None:
    model = make(0)
    array = xp.asarray(X)
    inputs = [(array, Y), (INPUT, Y), (array, Tensor(Y, dtype=int)), (INPUT, Y.tolist())]
    inputs.append((array, Y.astype("uint8")))
    losses = [model.loss(x, y) for x, y in inputs]
    assert {loss.item() for loss in losses} == {losses[0].item()}
    assert losses[0].shape == () and losses[0].dtype == "float32" and losses[0].requires_grad


def test_the_loss_of_logistic_regression_and_its_gradient_have_a_closed_form() -> None:
    model = LogisticRegression(4, 3, rng=0, dtype="float64")
    x = X.astype(float)
    loss = model.loss(Tensor(x), Y)
    loss.backward()
    odds = np.exp(x @ model.linear.weight.numpy() + model.linear.bias.numpy())
    chance = odds / odds.sum(1, keepdims=True)
    excess = (chance - np.eye(3)[Y]) / 6
    np.testing.assert_allclose(loss.item(), -np.log(chance[range(6), Y]).mean(), 1e-12)
    np.testing.assert_allclose(to_host(model.linear.weight.grad), x.T @ excess, 1e-12, 1e-15)
    np.testing.assert_allclose(to_host(model.linear.bias.grad), excess.sum(0), 1e-12, 1e-15)


def test_the_loss_of_zero_weights_is_the_logarithm_of_the_number_of_classes() -> None:
    model = MLP([4, 5, 3], rng=0)
    model.parameters().data.fill(0)
    np.testing.assert_allclose(model.loss(INPUT, Y).item(), np.log(3), 1e-6)


def test_the_gradient_of_an_mlp_agrees_with_central_differences() -> None:
    model = MLP([4, 5, 3], "tanh", rng=0, dtype="float64")
    arrays = [t.numpy().copy() for t in model.parameters()]

    def loss(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        first, last = model.hidden.layers[0], model.output
        first.weight, first.bias, last.weight, last.bias = w1, b1, w2, b2
        return model.loss(Tensor(X.astype(float)), Y)

    check_grads(loss, *arrays)


def test_training_lowers_the_loss() -> None:
    model = MLP([4, 8, 3], rng=0)
    params = model.parameters()
    losses = []
    for _ in range(50):
        params.zero_grad()
        loss = model.loss(INPUT, Y)
        loss.backward()
        for p in params:
            p.data -= 0.5 * p.grad
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP([4]), r"sizes=\[4\] needs an input and an output; give at least two"),
        (lambda: MLP([]), r"sizes=\[\] needs an input"),
        (lambda: MLP([4, 3], "rellu"), "activation 'rellu' is unknown; did you mean 'relu'"),
        (lambda: MLP([4, 3], "TANH"), "activation 'TANH' is unknown; did you mean 'tanh'"),
        (lambda: MLP([4, 3], None), "activation None is unknown; known are relu, tanh, sigmoid"),
        (lambda: MLP([4, 3], ops.tanh), "activation <function tanh at .*> is unknown; known are"),
        (lambda: MLP([4, 3], "step"), "'step' is unknown; known are relu, tanh, sigmoid"),
        (lambda: MLP([4, 0, 3]), r"Linear\(4, 0\): both sizes must be at least 1"),
        (lambda: Linear(-1, 3), r"Linear\(-1, 3\): both sizes must be at least 1"),
        (lambda: MLP([4, 3])(INPUT[0]), r"linear of shapes \(4,\), \(4, 3\), \(3,\)"),
        (lambda: MLP([5, 3])(INPUT), r"linear of shapes \(6, 4\), \(5, 3\), \(3,\)"),
    ],
)
def test_bad_sizes_activations_and_inputs_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("copied", COPIES)
def test_a_copied_model_trains_alone(copied: Any) -> None:
    model = MLP([4, 3], rng=0)
    model.params = model.parameters()
    start = model.state_dict()
    twin = copied(model)
    opt = optim.SGD(twin.params, lr=1.0)
    opt.zero_grad()
    twin.loss(INPUT, Y).backward()
    opt.step()
    assert (twin.output.weight.numpy() != start["output.weight"]).any()
    assert twin.params.data.size == model.params.data.size == 15
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, start[name])


def test_a_state_changes_nothing() -> None:
    model = MLP([4, 3], rng=0)
    loss = model.loss(INPUT, Y)
    model.output.state_dict()
    loss.backward()
    assert model.parameters().data.size == 15  # in one piece


@pytest.mark.parametrize("parts", [{"a": ReLU()}, [[ReLU()]], (Tensor(1),), {ReLU()}])
def test_parts_in_a_collection_are_not_overlooked(parts: Any) -> None:
    model = MLP([4, 3])
    model.heads = parts
    with pytest.raises(TypeError, match=f"heads is a {type(parts).__name__} of parts"):
        model.parameters()


def test_a_sequential_has_its_other_attributes_too() -> None:
    model = Sequential(Linear(1, 1))
    model.scale = Tensor([1.0], requires_grad=True)
    assert model.parameters().names == ("0.weight", "0.bias", "scale")


def test_a_state_has_what_is_frozen_but_nothing_that_was_computed() -> None:
    models = [MLP([3, 4, 2], rng=seed) for seed in (0, 1)]
    for model in models:
        model.output.bias.requires_grad = False
        assert "output.bias" not in model.parameters().names
        model.last = model(np.ones((1, 3), np.float32))
    models[0].output.bias.data = [5, 7]
    models[1].load_state_dict(models[0].state_dict())
    assert models[1].output.bias.numpy().tolist() == [5, 7]
    assert "last" not in models[1].state_dict()


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"Module has no forward\(x\); define it"):
        Module()(INPUT)


@pytest.mark.parametrize("copied", [copy.copy, *COPIES])
def test_a_copy_has_the_parameters_of_the_original_whatever_it_keeps(copied: Any) -> None:
    model = MLP([4, 3, 3], rng=0)
    model.output.bias.requires_grad = False
    model.tied = model.output.weight
    model.mean = Tensor([1.0])
    names = model.parameters().names
    model.last = model(INPUT)
    model.hidden.largest = model.last.max()
    twin = copied(model)
    del model.last, model.hidden.largest
    if copied is copy.copy:
        del twin.last
    assert twin.parameters().names == model.parameters().names == names
    assert twin.tied is twin.output.weight and not twin.output.bias.requires_grad


def test_a_state_that_is_the_path_of_a_file_names_load() -> None:
    model = MLP([4, 3])
    for holder in (model, model.parameters()):
        with pytest.raises(TypeError, match=r"load_state_dict\('model.npz'\): .* minigrad\.load"):
            holder.load_state_dict("model.npz")


def test_a_module_and_its_parameters_say_what_is_in_them() -> None:
    model = MLP([4, 5, 3])
    assert (
        repr(model)
        == """\
MLP(
  hidden: Sequential(
    0: Linear(
      weight: (4, 5) float32
      bias: (5,) float32
    )
    1: ReLU()
  )
  output: Linear(
    weight: (5, 3) float32
    bias: (3,) float32
  )
)"""
    )
    assert (
        repr(model.parameters())
        == """\
Parameters(
  hidden.0.weight: (4, 5)
  hidden.0.bias: (5,)
  output.weight: (5, 3)
  output.bias: (3,)
  43 of float32
)"""
    )
    assert repr(ReLU()) == "ReLU()"


@pytest.mark.parametrize("hiding", ["models/__init__.py", "models/note.txt", "models.py"])
def test_what_hides_the_package_of_models_is_named(tmp_path: Path, hiding: str) -> None:
    """Where the project is found after the working directory, as an installed one is."""
    (tmp_path / hiding).parent.mkdir(exist_ok=True)
    (tmp_path / hiding).touch()
    code = (
        "import sys; from pathlib import Path\n"
        f"sys.path[:0] = [{str(tmp_path)!r}, {str(Path(__file__).parents[2])!r}]\n"
        "import experiments"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    if hiding == "models/note.txt":  # no package, so that ours is found after it
        assert ran.returncode == 0, ran.stderr
    else:
        assert f"{tmp_path / hiding.split('/')[0]} hides the package `models`" in ran.stderr


def test_a_copy_saves_what_the_original_saves():
    model = MLP((2, 2), rng=0)
    model.parameters()
    model.kept = model.output.weight * 2
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert copied.state_dict().keys() == model.state_dict().keys()
        copied.load_state_dict(model.state_dict())
