"""The loop of the classifiers: tune the rate of one optimizer, then train with the best one."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from experiments.loops.spread import Alone, Spread
from experiments.problems.batches import Batches
from experiments.problems.dataset import Dataset
from minigrad import Dropout, Module, Parameters, no_grad, ops, xp
from models import Classifier
from optim import Optimizer

EVALUATION_BATCH = 500  # images: what a network on images makes of them fits in memory
PIECE = 64  # steps at most, in a few seconds: a checkpoint may be written after each piece
MEASURES = ("train_loss", "test_loss", "test_accuracy")


class RateSearch:
    """One optimizer over a grid of rates, then its best rate over more seeds; a piece is an epoch,
    or part of a long one.

    Each training is from scratch: first those of each rate with each tuning seed, judged by the
    loss on the last `validation` images of the training set; then the final ones, of the best rate
    with each seed. A rate that diverges scores infinity; a final training that diverges raises
    FloatingPointError. The first `images` of the training set are trained on; None: all but the
    last. `batches` says what the model is given of them.
    """

    def __init__(
        self,
        dataset: Dataset,
        validation: int,
        model: Callable[[Any], Classifier],
        optimizer: Callable[[Parameters, float], Optimizer],
        rates: np.ndarray,
        *,
        epochs: int,
        batch: int,
        tuning_seeds: int,
        seeds: int,
        seed: int,
        images: int | None = None,
        batches: Batches | None = None,
    ):
        x, y = dataset.train_x, dataset.train_y
        self.train = _moved(x[:-validation][:images], y[:-validation][:images])
        self.validation = _moved(x[-validation:], y[-validation:])
        self.test = _moved(dataset.test_x, dataset.test_y)
        self.batches = batches or Batches()
        self.make_model, self.make_optimizer = model, optimizer
        self.rates, self.epochs, self.batch, self.seed = rates, epochs, batch, seed
        self.results = {
            "validation_loss": np.full((len(rates), tuning_seeds), np.nan),
            **{name: np.full((seeds, epochs + 1), np.nan) for name in MEASURES},
        }
        self.training_index = self.epoch = self.start = 0  # and where this epoch goes on
        self.processes = Alone()

    def spread(self, shards: int | None) -> None:
        """Train on all ranks of MPI, each of which has this trial: to the same bits on any number
        of them, if there are shards."""
        self.processes = Spread(shards)

    @property
    def progress(self) -> float:
        """The share of the epochs of all trainings that are over."""
        trainings = self.results["validation_loss"].size + len(self.results["test_loss"])
        over = self.epoch - (self.start > 0)
        return (self.training_index + over / self.epochs) / trainings

    @property
    def done(self) -> bool:
        return self.progress == 1

    @property
    def best_rate(self) -> float:
        """The rate of the least mean validation loss among those tried so far."""
        mean = self.results["validation_loss"].mean(axis=1)
        return float(self.rates[np.nan_to_num(mean, nan=np.inf).argmin()])

    def advance(self) -> None:
        """Train for one epoch, or part of it, and measure at its end."""
        losses = self.results["validation_loss"]
        tuning = self.training_index < losses.size
        if self.epoch == 0:
            self._begin()
            if not tuning:
                self._measure()
        if self.start == 0:
            self.epoch += 1
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                self._train()
                if self.start:
                    return
                if not tuning:
                    self._measure()
                elif self.epoch == self.epochs:
                    losses.flat[self.training_index], _ = self._evaluate(*self.validation)
        except FloatingPointError as error:
            if not tuning:
                raise FloatingPointError(
                    f"{self.opt} at step {self.opt.t}, epoch {self.epoch}: {error}; "
                    f"{self._first_bad_parameter()}; try lower rates."
                ) from error
            losses.flat[self.training_index] = np.inf
            self.epoch, self.start = self.epochs, 0
        if self.epoch == self.epochs:
            self.training_index, self.epoch = self.training_index + 1, 0

    def _begin(self) -> None:
        """Make the model and the optimizer of this training, as they start."""
        losses = self.results["validation_loss"]
        if self.training_index < losses.size:
            rate_index, self.seed_index = divmod(self.training_index, losses.shape[1])
            rate = float(self.rates[rate_index])
        else:
            rate, self.seed_index = self.best_rate, self.training_index - losses.size
        self.model = self.make_model(self.seed + self.seed_index)
        inner = self.make_optimizer(self.model.parameters(), rate)
        self.opt = self.processes.optimizer(inner)
        self.shuffled: Any = None

    def _train(self) -> None:
        """Take the next steps of this epoch."""
        x, y = self.train
        if self.start == 0 or self.shuffled is None:
            rng = np.random.default_rng([self.seed + self.seed_index, self.epoch])
            order = xp.asarray(rng.permutation(len(x)))
            self.shuffled = order, self.batches.training(x, rng)
        order, batch_of = self.shuffled
        self.model.train()
        dropouts = [layer for layer in layers(self.model) if isinstance(layer, Dropout)]
        stop = min(self.start + PIECE * self.batch, len(x))
        for start in range(self.start, stop, self.batch):
            index = order[start : min(start + self.batch, stop)]
            masks = (self.epoch - 1) * -(-len(x) // self.batch) + start // self.batch

            def backward(part: slice, index: Any = index, masks: int = masks) -> None:
                here = index[part]
                for layer in dropouts:
                    layer.set_part(masks, part.start)
                self.model.loss(batch_of(here), y[here]).backward()

            self.processes.step(self.opt, len(index), backward)
        self.start = stop % len(x)

    def _measure(self) -> None:
        train_loss, _ = self._evaluate(*self.train)
        for name, value in zip(MEASURES, (train_loss, *self._evaluate(*self.test)), strict=True):
            self.results[name][self.seed_index, self.epoch] = value

    @no_grad()
    def _evaluate(self, x: Any, y: Any) -> tuple[float, float]:
        """Mean loss and accuracy; raises FloatingPointError where the loss is not finite."""
        self.model.eval()
        with self.opt.averaged():
            sums = self.processes.each(
                partial(self._evaluate_batch, x, y), range(0, len(x), EVALUATION_BATCH)
            )
        loss, correct = (sum(one) for one in zip(*sums, strict=True))
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}")
        return loss / len(x), correct / len(x)

    def _evaluate_batch(self, x: Any, y: Any, start: int) -> tuple[float, float]:
        """The sum of the losses, and how many are right."""
        batch = slice(start, start + EVALUATION_BATCH)
        labels = y[batch]
        logits = self.model(self.batches.evaluation(x[batch]))
        loss = len(labels) * ops.softmax_cross_entropy(logits, labels).item()
        return loss, int((logits.data.argmax(axis=1) == labels).sum())

    def _first_bad_parameter(self) -> str:
        for name, tensor in self.model.parameters().items():
            if not np.isfinite(tensor.numpy()).all():
                return f"{name} is not finite"
        return "all parameters are finite"

    def traces(self) -> dict[str, np.ndarray]:
        """What every final training measured in each epoch and how each rate did; NaN: not yet."""
        return {**self.results, "rates": self.rates, "best_rate": np.array(self.best_rate)}

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        state: dict[str, Any] = {
            "training_index": self.training_index,
            "epoch": self.epoch,
            "start": self.start,
            "results": self.results,
        }
        if self.epoch:
            inner = self.processes.inner(self.opt)
            state |= {"model": self.model.state_dict(), "opt": inner.state_dict()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.training_index, self.epoch = state["training_index"], state["epoch"]
        self.start = state["start"]
        self.results = state["results"]
        if self.epoch:
            self._begin()
            self.model.load_state_dict(state["model"])
            self.processes.inner(self.opt).load_state_dict(state["opt"])


def layers(module: Module) -> Iterator[Module]:
    """A module and all that it consists of."""
    yield module
    for child in module.children().values():
        if isinstance(child, Module):
            yield from layers(child)


def _moved(*arrays: Any) -> Any:
    """The arrays where the backend wants them."""
    return tuple(map(xp.asarray, arrays))
