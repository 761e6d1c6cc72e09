"""What the experiments on real digits share: rates tuned on a validation split, then seeds.

Each optimizer gets the same budget: a grid of rates of its own, tried with a few seeds and judged
by the mean loss on the validation split at the end; then the best rate over more seeds, judged on
the test set. Initial weights and batches depend on the seed alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

import optim
from experiments.experiment import Experiment
from experiments.loops.training import RateSearch
from experiments.problems import images
from experiments.problems.dataset import Dataset
from experiments.record.directory import Traces
from experiments.record.figure import Sheet
from experiments.record.settings import Settings
from models import Classifier

# images of the training set
VALIDATION = {images.MNIST: 5_000, images.CIFAR10: 5_000, images.DIGITS: 300}
EPOCHS = {images.MNIST: 10, images.DIGITS: 30}
BETA2S = (0.99, 0.999)
WIDEST_GRID = 21  # rates
HIGHEST_LOSS = 3.0  # that is plotted of the validation losses; guessing has log(10) = 2.3
_loaded: dict[tuple[str, str | None], Dataset] = {}  # by the source asked for, and the one found


@dataclass(frozen=True, kw_only=True)
class Classification(Settings):
    data: str | None = None  # a directory of MNIST, or "digits"; None: wherever MNIST is to be had
    note: str = field(default="", repr=False)  # why the data are not those asked for, if so
    epochs: int | None = None  # None: as many as suit the data
    batch: int = 128
    seeds: int = 5
    tuning_seeds: int = 2
    seed: int = 0
    rates: int = 9  # of each grid, half a decade apart

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.rates or 0) > WIDEST_GRID:
            raise ValueError(
                f"rates={self.rates}: give at most {WIDEST_GRID}, which is ten decades."
            )

    @property
    def may_download(self) -> bool:
        return self.data is None

    @property
    def images(self) -> str:
        """What the data are called in text, once they are found."""
        return "8x8 digits in place of MNIST" if self.data == images.DIGITS else "MNIST"


def prepare(s: Classification) -> Classification:
    """Find the data, once for all processes and for resuming."""
    found = load(s.data)
    return replace(s, data=found.source, note=found.note, epochs=s.epochs or EPOCHS[found.name])


def experiment(
    name: str,
    summary: str,
    *,
    title: str,
    model: Callable[[int, int, int], Classifier],
    lowest: Mapping[str, float],
    schedule: Callable[[float], Any],
) -> Experiment:
    """Declare the experiment on one model.

    `model` takes the numbers of features and classes and a seed, `lowest` holds log10 of the
    smallest rate of each grid, and `schedule` makes the step sizes of a rate.
    """
    return Experiment(
        name=name,
        summary=summary,
        settings=Classification(),
        quick={"data": images.DIGITS, "epochs": 2, "seeds": 2, "tuning_seeds": 1, "rates": 5},
        prepare=prepare,
        trials=partial(trials, model=model, lowest=lowest, schedule=schedule),
        draw=partial(draw, title=title),
        findings=findings,
    )


def trials(
    s: Classification,
    model: Callable[[int, int, int], Classifier],
    lowest: Mapping[str, float],
    schedule: Callable[[float], Any],
) -> dict[str, Callable[[], RateSearch]]:
    """A search for each rule and beta2.

    AdaGrad has no schedule: since it divides by the root of a sum of squares, a constant rate is to
    it what alpha / sqrt(t) is to the rules that divide by the root of a mean.
    """
    settings: dict[str, tuple[type[optim.Optimizer], dict[str, Any]]] = {
        "SGD": (optim.SGD, {}),
        "AdaGrad": (optim.AdaGrad, {}),
    }
    for rule in (optim.Adam, optim.AMSGrad):
        for beta2 in BETA2S:
            settings[f"{rule.__name__} beta2={beta2}"] = (rule, {"betas": (0.9, beta2)})

    def search(rule: type[optim.Optimizer], hyperparameters: dict[str, Any]) -> RateSearch:
        dataset = load(s.data)
        return RateSearch(
            dataset,
            VALIDATION[dataset.name],
            lambda seed: model(dataset.train_x.shape[1], dataset.n_classes, seed),
            lambda params, rate: rule(
                params, lr=rate if rule is optim.AdaGrad else schedule(rate), **hyperparameters
            ),
            10 ** (lowest[rule.__name__] + 0.5 * np.arange(s.rates)),
            epochs=s.epochs,
            batch=s.batch,
            tuning_seeds=s.tuning_seeds,
            seeds=s.seeds,
            seed=s.seed,
        )

    return {label: partial(search, *setting) for label, setting in settings.items()}


def draw(traces: Traces, s: Classification, title: str, note: str = "") -> Sheet:
    """Losses and accuracy of the best rates, and how the rate mattered."""
    sheet = Sheet(
        f"{title}, on {s.images}: batch {s.batch}, each optimizer at the best rate of its grid; "
        f"mean and range of {s.seeds} seeds",
        rows=2,
        columns=2,
        note=" ".join(filter(None, (note, unranked(traces)))),
    )
    panels = {
        "train_loss": sheet.panel(0, 0, "training loss", "epoch", "cross-entropy"),
        "test_loss": sheet.panel(0, 1, "test loss", "epoch", "cross-entropy"),
        "test_accuracy": sheet.panel(1, 0, "test accuracy", "epoch", "accuracy"),
    }
    rates = sheet.panel(
        1,
        1,
        "sensitivity to the rate",
        "rate (circle: chosen, square: at the edge, x: diverged)",
        "validation loss",
    )
    for label, trace in traces.items():
        look = {"linestyle": "--" if label.endswith("0.999") else "-"}
        for name, panel in panels.items():
            values = trace[name]
            epochs = np.arange(values.shape[1])
            panel.line(label, epochs, values.mean(0), values.min(0), values.max(0), **look)
        losses = trace["validation_loss"]
        ran = np.isfinite(losses).all(axis=1)
        kept, losses = trace["rates"][ran], losses[ran]
        rates.line(label, kept, losses.mean(1), losses.min(1), losses.max(1), **look)
        color = rates.axes.lines[-1].get_color()
        chosen = "s" if at_edge(trace) else "o"
        rates.axes.plot(trace["best_rate"], losses.mean(1).min(), chosen, mfc="none", color=color)
        diverged = trace["rates"][~ran]
        rates.axes.plot(diverged, np.full(len(diverged), 0.9 * HIGHEST_LOSS), "x", color=color)
    for name in ("train_loss", "test_loss"):
        panels[name].axes.set_yscale("log")
        first = max(trace[name][:, 1].max() for trace in traces.values())
        panels[name].axes.set_ylim(top=1.2 * first)  # the loss before training would dwarf the rest
    final = np.concatenate([trace["test_accuracy"][:, -1] for trace in traces.values()])
    panels["test_accuracy"].axes.set_ylim(final.min() - 0.04, min(1, final.max() + 0.01))
    rates.axes.set_xscale("log")
    rates.axes.set_yscale("log")
    least = min(np.nanmin(trace["validation_loss"]) for trace in traces.values())
    rates.axes.set_ylim(least * 0.8, HIGHEST_LOSS)
    sheet.legend(panels["train_loss"])
    return sheet


def findings(traces: Traces, s: Classification) -> list[str]:
    """One line for each optimizer; before them, if so, that they compare nothing."""
    lines = [line for line in (unranked(traces),) if line]
    for label, trace in traces.items():
        accuracy, rate = trace["test_accuracy"][:, -1], float(trace["best_rate"])
        edge = ", the edge of its grid" if at_edge(trace) else ""
        lines.append(
            f"{label}: test accuracy {accuracy.mean():.2%} ({accuracy.min():.2%} to "
            f"{accuracy.max():.2%}) on {s.images}, training loss "
            f"{trace['train_loss'][:, -1].mean():.4f}, at rate {rate:.3g}{edge}"
        )
    return lines


def unranked(traces: Traces) -> str:
    """One sentence where some grid was too narrow for a comparison; else nothing."""
    untuned = [label for label, trace in traces.items() if at_edge(trace)]
    if not untuned:
        return ""
    return (
        f"No ranking: the best rate of {', '.join(untuned)} is at the edge of the grid, so that a "
        "better one may lie beyond."
    )


def at_edge(trace: Mapping[str, np.ndarray]) -> bool:
    """Whether the best rate is the first or last of its grid, so that a better may lie beyond."""
    return float(trace["best_rate"]) in trace["rates"][[0, -1]]


def load(source: str | None, wanted: str = images.MNIST) -> Dataset:
    """What `images.load` gives, read once in a process."""
    if (wanted, source) not in _loaded:
        found = images.load(source, wanted)
        if found.note:
            print(found.note)
        _loaded[wanted, source] = _loaded[wanted, found.source] = found
    return _loaded[wanted, source]
