"""A network with one hidden layer of 100 ReLU on MNIST, constant alpha: the second experiment of
Section 5 of Reddi, Kale and Kumar 2018 (Figure 2), with every rate tuned."""

from functools import partial

from experiments.experiment import Experiment
from experiments.paper import classification
from experiments.problems.images import DIGITS
from models import MLP

LOWEST = {"SGD": -3.0, "AdaGrad": -3.5, "Adam": -5.0, "AMSGrad": -5.0}  # log10 of the rate

EXPERIMENT = Experiment(
    name="mlp",
    summary="a network with 100 hidden ReLU on MNIST or the digits, constant alpha (Figure 2)",
    settings=classification.Classification(),
    quick={"data": DIGITS, "epochs": 2, "seeds": 2, "tuning_seeds": 1, "rates": 5},
    prepare=classification.prepare,
    runs=lambda s: classification.runs(
        s,
        lambda n_in, n_classes, seed: MLP([n_in, 100, n_classes], rng=seed),
        LOWEST,
        float,
    ),
    draw=partial(classification.draw, title="one hidden layer of 100 ReLU, constant alpha"),
    findings=classification.findings,
)
