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

from experiments.experiment import Experiment
from experiments.loops.compared import Compared, of_sums, undivided
from experiments.loops.training import RateSearch
from experiments.paper import classification_report
from experiments.problems import images
from experiments.problems.dataset import Dataset
from models import Classifier
from optim.named import NamedRule

# images of the training set
VALIDATION = dict.fromkeys(images.TITLES, 5_000) | {images.DIGITS: 300}
EPOCHS = {images.MNIST: 10, images.FASHION: 10, images.DIGITS: 30}
BETA2S = (0.99, 0.999)
WIDEST_GRID = 21  # rates
_loaded: dict[tuple[str, str | None], Dataset] = {}  # by the source asked for, and the one found


@dataclass(frozen=True, kw_only=True)
class Classification(Compared):
    rules: tuple[str, ...] = ("SGD", "AdaGrad", "Adam", "AMSGrad")
    data: str | None = None  # a directory, or "digits"; None: wherever MNIST is to be had
    found: str = field(default=images.MNIST, repr=False)  # which data are there
    data_sha256: str = field(default="", repr=False)  # of these data
    note: str = field(default="", repr=False)  # why the data are not those asked for, if so
    epochs: int | None = None  # None: as many as suit the data
    batch: int = 128
    seeds: int = 5
    tuning_seeds: int = 2
    seed: int = 0
    rates: int = 9  # of each grid, half a decade apart

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_varies("lr")
        if (self.rates or 0) > WIDEST_GRID:
            raise ValueError(
                f"rates={self.rates}: give at most {WIDEST_GRID}, which is ten decades."
            )

    @property
    def may_download(self) -> bool:
        return self.data in (None, images.FASHION)

    @property
    def images(self) -> str:
        """What the data are called in text, once they are found."""
        if self.data == images.DIGITS:
            return "8x8 digits in place of MNIST"
        return images.TITLES[self.found]


def prepare(s: Classification) -> Classification:
    """Find the data, once for all processes and for resuming."""
    found = load(s.data)
    epochs = s.epochs or EPOCHS[found.name]
    return replace(s, **facts(found), epochs=epochs)


def facts(found: Dataset) -> dict[str, str]:
    """The settings that say which data were found."""
    known = {"data": found.source, "found": found.name, "note": found.note}
    return known | {"data_sha256": found.sha256}


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
    smallest rate of each grid (those of other rules begin as SGD's or Adam's, by whether steps are
    as large as the gradients), and `schedule` makes the step sizes of a rate.
    """
    return Experiment(
        name=name,
        summary=summary,
        settings=Classification(),
        quick={"data": images.DIGITS, "epochs": 2, "seeds": 2, "tuning_seeds": 1, "rates": 5},
        prepare=prepare,
        trials=partial(trials, model=model, lowest=lowest, schedule=schedule),
        draw=partial(classification_report.draw, title=title),
        verdict=classification_report.verdict,
        caption=partial(classification_report.caption, title=title),
        findings=classification_report.findings,
    )


def trials(
    s: Classification,
    model: Callable[[int, int, int], Classifier],
    lowest: Mapping[str, float],
    schedule: Callable[[float], Any],
) -> dict[str, Callable[[], RateSearch]]:
    """A search for each rule and beta2.

    A rule that divides by the root of a sum of squares has no schedule: a constant rate is to it
    what alpha / sqrt(t) is to those that divide by the root of a mean.
    """

    def search(rule: NamedRule, betas: dict[str, Any]) -> RateSearch:
        dataset = load(s.data, sha256=s.data_sha256)
        return RateSearch(
            dataset,
            VALIDATION[dataset.name],
            lambda seed: model(dataset.train_x.shape[1], dataset.n_classes, seed),
            lambda params, rate: rule(
                params, lr=rate if of_sums(rule) else schedule(rate), **betas
            ),
            10 ** (beginning(rule) + 0.5 * np.arange(s.rates)),
            epochs=s.epochs,
            batch=s.batch,
            tuning_seeds=s.tuning_seeds,
            seeds=s.seeds,
            seed=s.seed,
        )

    def beginning(rule: NamedRule) -> float:
        like = lowest["SGD" if undivided(rule) else "Adam"]
        return like if rule.file else lowest.get(rule.rule.__name__, like)

    return {label: partial(search, *setting) for label, setting in by_beta2(s).items()}


def by_beta2(s: Classification) -> dict[str, tuple[NamedRule, dict[str, Any]]]:
    """The rules by label: one that has two betas with each of BETA2S, unless its name fixes them.

    Beside each is what the beta2 sets.
    """
    found: dict[str, tuple[NamedRule, dict[str, Any]]] = {}
    for label, rule in s.compared.items():
        match rule.hyperparameters().get("betas"):
            case (float(beta1), float()) if "betas" not in rule.fixed:
                for beta2 in BETA2S:
                    found[f"{label} beta2={beta2}"] = rule, {"betas": (beta1, beta2)}
            case _:
                found[label] = rule, {}
    return found


def load(source: str | None, wanted: str = images.MNIST, sha256: str = "") -> Dataset:
    """What `images.load` gives, read once in a process; raises DataError where it is not of that
    SHA-256, if one is given."""
    if (wanted, source) not in _loaded:
        found = images.load(source, wanted)
        if found.note:
            print(found.note)
        _loaded[wanted, source] = _loaded[wanted, found.source] = found
    if sha256:
        _loaded[wanted, source].check_same(sha256)
    return _loaded[wanted, source]
