"""CIFARNET in the tournament, tiny: one run at a time, as the model alone is trained."""

import json

import numpy as np
import pytest

import experiments
from experiments.cli import main
from experiments.problems import cifar10, images
from experiments.registry import EXPERIMENTS
from experiments.tournament.entries import LONG, entry, images_of
from experiments.tournament.heat import Heat
from experiments.tournament.search import Search
from experiments.tournament.turns import Turns
from minigrad import backend, load, no_grad, save
from models import CIFARNET
from optim.named import named
from tests.driving import host_only

pytestmark = host_only

TIMES = np.array([1, 3, 6])
RATES = np.array([1e-3, 3e-3])


def played(trial):
    while not trial.done:
        trial.advance()
    return trial


@pytest.fixture
def colours(tmp_path, monkeypatch):
    """A directory of CIFAR-10 with few images, which are noise."""
    monkeypatch.setattr(cifar10, "RECORDS", 30)
    monkeypatch.setattr("experiments.tournament.cifarnet.VALIDATION", 20)
    rng = np.random.default_rng(0)
    for name in cifar10.FILES:
        records = rng.integers(256, size=(30, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        (tmp_path / name).write_bytes(records.tobytes())
    return tmp_path


@pytest.mark.parametrize("rule", ["Adam", "LAMB", "LBFGS"])
def test_its_runs_are_those_of_the_model_alone(rule):
    made = entry(LONG, 2, 5, "digits")
    one = played(Turns(made, named(rule), RATES, range(5, 7), TIMES))
    digits = images.load_digits()
    x, y = digits.test_x[:500].reshape(-1, 8, 8, 1), digits.test_y[:500]
    for j, rate in enumerate(RATES):
        for k in range(2):
            model = CIFARNET((8, 8, 1), 10, rng=5 + k)
            opt, calls = named(rule)(model.parameters(), lr=float(rate)), 0
            dropout = model.classifier.children()["2"]

            def closure():
                nonlocal calls
                calls += 1
                dropout.key.data = masks[k]  # noqa: B023
                model.train()  # noqa: B023
                opt.zero_grad()  # noqa: B023
                loss = model.loss(inputs[k], labels[k])  # noqa: B023
                loss.backward()
                return loss

            found = {}
            while calls <= 5:
                with no_grad():
                    found[calls] = model.eval().loss(x, y).item()
                inputs, labels, masks = made.draw(opt.t + 1)
                opt.step(closure)
            told = [found[max(n for n in found if n < t)] for t in TIMES]
            np.testing.assert_allclose(one.recorded["reported"][:, j, k], told, rtol=1e-4)


def test_a_step_is_of_squares_of_the_images_of_its_seed(colours):
    made, found = entry(LONG, 2, 0, str(colours)), cifar10.load_cifar10(colours)
    inputs, labels, masks = made.draw(4)
    assert inputs.shape == (2, 32, 24, 24, 3) and masks.shape == (2, 2)
    assert not (made.draw(5)[0] == inputs).all() and not (inputs[0] == inputs[1]).all()
    train, square = found.train_x[:-20], inputs[1, 7]
    shown = np.rint((square + 1) * 127.5).astype(np.uint8)
    shown = {shown.tobytes(), shown[:, ::-1].tobytes()}  # half of them are mirrored
    cut = [
        label
        for image, label in zip(train, found.train_y, strict=False)
        for top in range(9)
        for left in range(9)
        if image[top : top + 24, left : left + 24].tobytes() in shown
    ]
    assert cut == [labels[1, 7]]
    alone = made.of_seed(1).draw(4)
    for one, of in zip(alone, (inputs, labels, masks), strict=True):
        np.testing.assert_array_equal(one, of[1:])


@pytest.mark.parametrize("machine", ["numpy", "numba"])
@pytest.mark.parametrize("rule", ["Adam", "Sophia"])
def test_a_search_goes_on_to_the_same_bits(rule, machine, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.tournament.heat.STRETCH", 3)
    if machine == "numba":
        pytest.importorskip("numba")
    with backend.temporarily(backend.make(machine)):
        times = np.array([1, 3, 12])

        def made():
            new = entry(LONG, 1, 0, "digits")
            return Search(lambda: new, named(rule), points=3, seeds=range(1), times=times)

        whole, one, within = played(made()).traces(), made(), 0
        for _ in range(50):
            if one.done:
                break
            one.advance()
            within += isinstance(one.heat, Turns) and bool(0 < one.heat.heat.t)
            save(tmp_path / "one.npz", trial=one)
            one = made()
            one.load_state_dict(load(tmp_path / "one.npz")["trial"])
        assert one.done and within >= 3
        for name, array in one.traces().items():
            np.testing.assert_array_equal(array, whole[name])


def test_a_run_that_fails_leaves_the_others_alone():
    wild = np.array([1e-2, 1e30])
    both = played(Turns(entry(LONG, 1, 0, "digits"), named("SGD"), wild, range(1), TIMES))
    alone = played(Heat(entry(LONG, 1, 0, "digits"), named("SGD"), wild[:1], range(1), TIMES))
    assert both.failed[0, 0] == 0 and both.failed[1, 0] > 1 and both.progress == 1
    for name, curves in both.recorded.items():
        np.testing.assert_array_equal(curves[:, :1], alone.recorded[name])
        assert np.isfinite(curves[0]).all() and np.isinf(curves[-1, 1]).all()


def test_it_takes_part_only_where_it_is_named(tmp_path, colours, capsys):
    assert LONG not in EXPERIMENTS["tournament"].settings.problems
    small = {"rules": "lion", "problems": "softmax,cifarnet", "steps": 2, "seeds": 1, "rates": 3}
    result = experiments.run("tournament", quick=True, **small, data=str(colours))
    assert "The 8x8 digits stand in for MNIST" in capsys.readouterr().out
    assert "on 2 problems: softmax and CIFARNET" in result.caption
    said = "The images are those of the 8x8 digits, and for CIFARNET those of CIFAR-10."
    assert said in result.caption
    s = result.settings
    assert s.data == str(colours.resolve())
    assert s.data_sha256["cifar10"] == images_of(str(colours), "cifar10").sha256
    chosen = ["tournament", "--quick", "--out", str(tmp_path), "--workers", "1"]
    for name, value in small.items():
        chosen += ["--set", f"{name}={value}"] if name == "rates" else [f"--{name}", str(value)]
    assert main(chosen) == 0
    found = json.loads((tmp_path / "tournament" / "findings.json").read_text())
    assert "The images are those of the 8x8 digits." in found["caption"]


def test_a_run_goes_on_with_its_own_images_alone(colours):
    experiment = EXPERIMENTS["tournament"]
    s = experiment.configured({"problems": "cifarnet", "data": str(colours)}, quick=True)
    s = experiment.prepare(s)
    next(iter(experiment.trials(s).values()))().advance()
    name = cifar10.FILES[0]
    content = bytearray((colours / name).read_bytes())
    content[-1] ^= 1
    (colours / name).write_bytes(content)
    images_of.cache_clear()
    with pytest.raises(ValueError, match="other images or labels now than when the run began"):
        next(iter(experiment.trials(s).values()))().advance()
