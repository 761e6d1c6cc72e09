"""CIFARNET on CIFAR-10, constant alpha: the third experiment of Section 5 of Reddi, Kale and Kumar
2018 (Figure 2), Adam and AMSGrad with every rate tuned.

On CIFAR-10 few images and epochs are the default; for what the paper may have done, in days:
--set train_images=45000 --set epochs=150 --set rates=5 --set seeds=5.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from experiments.experiment import Experiment, Finding
from experiments.loops.compared import undivided
from experiments.loops.training import RateSearch
from experiments.paper import classification_report
from experiments.paper.classification import (
    BETA2S,
    VALIDATION,
    Classification,
    by_beta2,
    facts,
    load,
)
from experiments.problems import images
from experiments.problems.batches import Batches, Crops
from experiments.problems.dataset import Dataset
from experiments.record.directory import Traces
from experiments.record.figure import Sheet
from models import CIFARNET
from optim.named import NamedRule

MIDDLE_RATE = 1e-3, 1e-1  # of a grid; the second of rules whose steps are as large as gradients
SIDE = 32  # of the images of CIFAR-10
WHOLE = {"train_images": 45_000, "epochs": 150}  # of CIFAR-10: less is called reduced
SUITABLE = {  # for what the settings leave open, by the data
    images.DIGITS: {"train_images": 1197, "epochs": 20, "rates": 5, "seeds": 5, "crop": 8},
    images.CIFAR10: {"train_images": 4000, "epochs": 8, "rates": 3, "seeds": 3, "crop": 24},
}
CHOICES = (
    "The paper leaves open, and chosen here are: same padding; conv, pool, ReLU, response norm "
    "(9 channels, alpha 0.001, beta 0.75), conv, pool, ReLU, 384, dropout, 192; no weight decay"
)
KORZENIOWSKI = Finding(
    "F. Korzeniowski's logs (2017, CIFAR-10, 150 epochs, rates that decay to 0): "
    "Adam 78.17% +- 0.10%, AMSGrad 78.29% +- 0.17%."
)
TITLE = "CIFARNET, constant alpha"


@dataclass(frozen=True, kw_only=True)
class Cifarnet(Classification):
    """What is None becomes what suits the data."""

    rules: tuple[str, ...] = ("Adam", "AMSGrad")
    train_images: int | None = None  # beside those of the validation split
    crop: int | None = None  # the side of the squares that are cut from images of CIFAR-10
    rates: int | None = None
    seeds: int | None = None
    tuning_seeds: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop and not 4 <= self.crop <= SIDE:
            raise ValueError(f"crop={self.crop}: give 4 to {SIDE}, the side of the images.")

    @property
    def images(self) -> str:
        if self.data == images.DIGITS:
            return "8x8 digits in place of CIFAR-10"
        if all(getattr(self, name) >= value for name, value in WHOLE.items()):
            return "CIFAR-10"
        return f"CIFAR-10, reduced to {self.train_images:,} images and {self.epochs} epochs"


def prepare(s: Cifarnet) -> Cifarnet:
    """Find the data, and settle what depends on them, once for all processes and for resuming."""
    found = load(s.data, images.CIFAR10)
    settled = {name: getattr(s, name) or value for name, value in SUITABLE[found.name].items()}
    there = len(found.train_x) - VALIDATION[found.name]
    settled["train_images"] = min(settled["train_images"], there)
    return replace(s, **facts(found), **settled)


def trials(s: Cifarnet) -> dict[str, Callable[[], RateSearch]]:
    """A search for each rule and beta2."""
    return {label: partial(_search, s, *setting) for label, setting in by_beta2(s).items()}


def _search(s: Cifarnet, rule: NamedRule, betas: dict[str, Any]) -> RateSearch:
    dataset = load(s.data, images.CIFAR10, s.data_sha256)
    batches, shape = Batches(), (8, 8, 1)
    if dataset.name == images.DIGITS:
        dataset = _squares(dataset, shape)
    else:
        batches, shape = Crops(s.crop), (s.crop, s.crop, 3)
    return RateSearch(
        dataset,
        VALIDATION[dataset.name],
        lambda seed: CIFARNET(shape, dataset.n_classes, rng=seed),
        lambda params, rate: rule(params, lr=rate, **betas),
        MIDDLE_RATE[undivided(rule)] * 10 ** (0.5 * (np.arange(s.rates) - s.rates // 2)),
        epochs=s.epochs,
        batch=s.batch,
        tuning_seeds=s.tuning_seeds,
        seeds=s.seeds,
        seed=s.seed,
        images=s.train_images,
        batches=batches,
    )


def _squares(flat: Dataset, shape: tuple[int, int, int]) -> Dataset:
    """The same, with images (n, height, width, channels)."""
    train_x, test_x = (x.reshape(-1, *shape) for x in (flat.train_x, flat.test_x))
    return replace(flat, train_x=train_x, test_x=test_x)


def choices(s: Cifarnet) -> str:
    """What the paper leaves open, and is chosen here."""
    side = f"{s.crop}x{s.crop}"
    squares = f"; random {side} squares, mirrored or not, and in evaluation the middle"
    return CHOICES + ("" if s.data == images.DIGITS else squares)


def draw(traces: Traces, s: Cifarnet) -> Sheet:
    """As the other experiments on images."""
    return classification_report.draw(traces, s, TITLE, choices(s) + ".")


def caption(traces: Traces, s: Cifarnet) -> str:
    """As of the other experiments on images; and what the paper leaves open."""
    said = [finding.text for finding in compared(traces, s)]
    return " ".join([classification_report.caption(traces, s, TITLE), *said, f"{choices(s)}."])


def findings(traces: Traces, s: Cifarnet) -> list[Finding]:
    """One for each optimizer; for each beta2 and rule after the first; what somebody else found."""
    found = [*classification_report.findings(traces, s), *compared(traces, s)]
    known = s.data != images.DIGITS and {"Adam", "AMSGrad"} <= s.compared.keys()
    return [*found, KORZENIOWSKI] if known else found


def compared(traces: Traces, s: Cifarnet) -> list[Finding]:
    """How far each rule is above the first for each beta2, and whether that means anything."""
    found = []
    first, *others = s.compared
    for beta2, rule in product(BETA2S, others):
        labels = [f"{label} beta2={beta2}" for label in (first, rule)]
        if not traces.keys() >= set(labels):
            continue
        both = {label: traces[label] for label in labels}
        one, other = classification_report.measured(both, "test_accuracy").values()
        points = 100 * (other.mean() - one.mean())
        if classification_report.unranked(both, s):
            meaning = "with a rate at the edge of its grid, or of a quick run: no ranking"
        elif one.max() < other.min() or other.max() < one.min():
            meaning = "more than seeds make"
        else:
            meaning = "within what seeds make: no ranking"
        text = (
            f"{rule} over {first} at beta2={beta2}: {points:+.2f} points of test accuracy, "
            f"{meaning}."
        )
        found.append(Finding(text, {f"points at beta2={beta2}": float(points)}))
    return found


EXPERIMENT = Experiment(
    name="cifarnet",
    summary="two convolutions on CIFAR-10 or the digits, constant alpha (Figure 2)",
    settings=Cifarnet(),
    quick={
        "data": images.DIGITS,
        "train_images": 300,
        "epochs": 1,
        "seeds": 2,
        "rates": 3,
    },
    prepare=prepare,
    trials=trials,
    draw=draw,
    verdict=classification_report.verdict,
    caption=caption,
    findings=findings,
)
