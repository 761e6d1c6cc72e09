"""Logistic regression on MNIST, alpha_t = alpha / sqrt(t): the first experiment of Section 5 of
Reddi, Kale and Kumar 2018 (Figure 2), with every rate tuned."""

from functools import partial

from experiments.experiment import Experiment
from experiments.paper import classification
from experiments.problems.images import DIGITS
from models import LogisticRegression
from optim.schedules import InverseSqrt

LOWEST = {"SGD": -1.0, "AdaGrad": -3.0, "Adam": -3.0, "AMSGrad": -3.5}  # log10 of the rate

EXPERIMENT = Experiment(
    name="logistic",
    summary="softmax regression on MNIST or the digits, alpha/sqrt(t) (Figure 2)",
    settings=classification.Classification(),
    quick={"data": DIGITS, "epochs": 2, "seeds": 2, "tuning_seeds": 1, "rates": 5},
    prepare=classification.prepare,
    runs=lambda s: classification.runs(
        s,
        lambda n_in, n_classes, seed: LogisticRegression(n_in, n_classes, rng=seed),
        LOWEST,
        InverseSqrt,
    ),
    draw=partial(classification.draw, title="softmax regression, alpha / sqrt(t)"),
    findings=classification.findings,
)
