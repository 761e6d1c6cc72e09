"""The tuning loop on a small part of the digits."""

import numpy as np
import pytest

import minigrad
import optim
from experiments.loops import training
from experiments.loops.training import RateSearch
from experiments.problems.batches import Batches, Crops
from experiments.problems.dataset import Dataset
from experiments.problems.images import load_digits
from models import CIFARNET, LogisticRegression
from tests.trials import finished

DIGITS = load_digits()
SMALL = Dataset(
    "digits", DIGITS.train_x[:400], DIGITS.train_y[:400], DIGITS.test_x[:100], DIGITS.test_y[:100]
)


def sweep(rates=(0.01, 0.1, 1.0), rule=optim.Adam, **options):
    options = {"epochs": 3, "batch": 64, "tuning_seeds": 2, "seeds": 2, "seed": 0, **options}
    return RateSearch(
        SMALL,
        100,
        lambda seed: LogisticRegression(64, 10, rng=seed),
        lambda params, rate: rule(params, lr=rate),
        np.array(rates),
        **options,
    )


def test_the_validation_split_is_neither_trained_on_nor_tested_on():
    run = sweep()
    assert len(run.train[0]) == 300 and len(run.validation[0]) == 100
    np.testing.assert_array_equal(minigrad.to_host(run.train[0]), SMALL.train_x[:300])
    np.testing.assert_array_equal(minigrad.to_host(run.validation[0]), SMALL.train_x[300:])
    np.testing.assert_array_equal(minigrad.to_host(run.test[0]), SMALL.test_x)


def test_chooses_the_rate_of_the_least_mean_validation_loss():
    traces = finished(sweep())
    losses = traces["validation_loss"]
    assert np.isfinite(losses).all() and len(np.unique(losses)) == losses.size
    assert traces["best_rate"] == traces["rates"][losses.mean(axis=1).argmin()]


def test_measures_what_a_plain_loop_measures():
    traces = finished(sweep(rates=(0.1,), tuning_seeds=1, seeds=1))
    model = LogisticRegression(64, 10, rng=0)
    opt = optim.Adam(model.parameters(), lr=0.1)
    x, y = SMALL.train_x[:300], SMALL.train_y[:300]
    losses = [model.loss(x, y).item()]
    for epoch in (1, 2, 3):
        order = np.random.default_rng([0, epoch]).permutation(300)
        for start in range(0, 300, 64):
            batch = order[start : start + 64]
            opt.zero_grad()
            model.loss(x[batch], y[batch]).backward()
            opt.step()
        losses.append(model.loss(x, y).item())
    np.testing.assert_allclose(traces["train_loss"][0], losses, rtol=1e-6)
    logits = model(SMALL.test_x).numpy()
    assert traces["test_accuracy"][0, -1] == (logits.argmax(1) == SMALL.test_y).mean()
    validation = model.loss(SMALL.train_x[300:], SMALL.train_y[300:]).item()
    np.testing.assert_allclose(traces["validation_loss"], [[validation]], rtol=1e-6)


def test_every_optimizer_starts_from_the_same_weights_and_sees_the_same_batches():
    adam, sgd = (finished(sweep(rates=(1e-9,), rule=rule)) for rule in (optim.Adam, optim.SGD))
    np.testing.assert_array_equal(adam["train_loss"][:, 0], sgd["train_loss"][:, 0])
    assert adam["train_loss"][0, 0] != adam["train_loss"][1, 0]
    runs = [sweep(rule=rule) for rule in (optim.Adam, optim.SGD)]
    seen = []
    for run in runs:

        class Spy(LogisticRegression):
            def loss(self, x, y, into=seen):
                into.append(minigrad.to_host(y).copy())
                return super().loss(x, y)

        run.make_model = lambda seed, model=Spy: model(64, 10, rng=seed)
        run.advance()
    half = len(seen) // 2
    assert half == 5
    for first, second in zip(seen[:half], seen[half:], strict=True):
        np.testing.assert_array_equal(first, second)


def test_training_and_evaluation_are_modes_of_the_model():
    seen = []

    class Spy(LogisticRegression):
        def forward(self, x):
            seen.append((self.training, len(x)))
            return super().forward(x)

    run = sweep(rates=(0.1,), tuning_seeds=1, seeds=1, epochs=2)
    run.make_model = lambda seed: Spy(64, 10, rng=seed)
    finished(run)
    trained_on = {n for training, n in seen if training}
    evaluated_on = {n for training, n in seen if not training}
    assert trained_on == {64, 300 % 64} and evaluated_on == {300, 100}


def test_of_the_training_set_as_many_are_trained_on_as_are_asked_for():
    run = sweep(images=50)
    np.testing.assert_array_equal(minigrad.to_host(run.train[0]), SMALL.train_x[:50])
    np.testing.assert_array_equal(minigrad.to_host(run.train[1]), SMALL.train_y[:50])
    assert len(run.validation[0]) == 100


def test_batches_are_made_as_the_experiment_says():
    class Doubled(Batches):
        def training(self, images, rng):
            assert rng.bit_generator.seed_seq.entropy == [0, 1]
            return lambda index: 2 * images[index]

        def evaluation(self, images):
            return 3 * images

    seen = []

    class Spy(LogisticRegression):
        def forward(self, x):
            seen.append((self.training, float(x.max())))
            return super().forward(x)

    run = sweep(rates=(0.1,), tuning_seeds=1, seeds=1, epochs=1, batches=Doubled())
    run.make_model = lambda seed: Spy(64, 10, rng=seed)
    run.advance()
    assert set(seen) == {(True, 2.0), (False, 3.0)}


def test_a_rate_that_diverges_is_recorded_and_not_chosen():
    traces = finished(sweep(rates=(0.1, 1e38), rule=optim.SGD))
    assert np.isinf(traces["validation_loss"][1]).all()
    assert traces["best_rate"] == 0.1


def test_a_final_training_that_diverges_says_where():
    run = sweep(rates=(1e38,), rule=optim.SGD)
    with pytest.raises(FloatingPointError, match=r"SGD\(lr=1e\+38\)"):
        finished(run)


def test_a_loss_that_is_not_finite_names_the_parameter():
    class Broken(LogisticRegression):
        trained = False

        def loss(self, x, y):
            self.trained = True
            return super().loss(x, y)

        def forward(self, x):
            if self.trained and not self.training:
                self.linear.bias.data = np.full(10, np.nan)
            return super().forward(x)

    run = sweep(rates=(0.1,), tuning_seeds=1)
    run.make_model = lambda seed: Broken(64, 10, rng=seed)
    with pytest.raises(FloatingPointError, match=r"epoch 1: the loss is nan; linear\.bias is not"):
        finished(run)


@pytest.mark.parametrize("pieces", [1, 3, 4, 10, 19])
def test_resumes_bit_for_bit(tmp_path, pieces):
    whole = finished(sweep())
    first = sweep()
    for _ in range(pieces):
        first.advance()
    minigrad.save(tmp_path / "run.npz", run=first)
    second = sweep()
    second.load_state_dict(minigrad.load(tmp_path / "run.npz")["run"])
    for name, values in finished(second).items():
        np.testing.assert_array_equal(values, whole[name])


@pytest.mark.parametrize("pieces", [1, 4])
@pytest.mark.parametrize("steps", [1, 2, training.PIECE])
def test_crops_and_dropout_resume_bit_for_bit(tmp_path, monkeypatch, pieces, steps):
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(256, size=(60, 10, 9, 3), dtype=np.uint8), np.arange(60) % 10
    data = Dataset("pictures", pixels[:50], labels[:50], pixels[50:], labels[50:])

    def search():
        return RateSearch(
            data,
            10,
            lambda seed: CIFARNET((8, 8, 3), 10, rng=seed),
            lambda params, rate: optim.AMSGrad(params, lr=rate),
            np.array([1e-3]),
            epochs=3,
            batch=16,
            tuning_seeds=1,
            seeds=1,
            seed=0,
            batches=Crops(8),
        )

    monkeypatch.setattr(training, "PIECE", steps)  # of three in an epoch
    first, second = search(), search()
    for _ in range(pieces):
        first.advance()
    minigrad.save(tmp_path / "run.npz", run=first)
    second.load_state_dict(minigrad.load(tmp_path / "run.npz")["run"])
    whole = finished(second)
    monkeypatch.undo()
    for name, values in finished(search()).items():
        np.testing.assert_array_equal(values, whole[name])
