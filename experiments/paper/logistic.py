"""Logistic regression on MNIST, alpha_t = alpha / sqrt(t): the first experiment of Section 5 of
Reddi, Kale and Kumar 2018 (Figure 2), with every rate tuned."""

from experiments.paper import classification
from models import LogisticRegression
from optim.schedules import InverseSqrt

EXPERIMENT = classification.experiment(
    name="logistic",
    summary="softmax regression on MNIST, Fashion-MNIST or the digits, alpha/sqrt(t) (Figure 2)",
    title="softmax regression, alpha / sqrt(t)",
    model=lambda n_in, n_classes, seed: LogisticRegression(n_in, n_classes, rng=seed),
    lowest={"SGD": -1.0, "AdaGrad": -3.0, "Adam": -3.0, "AMSGrad": -3.5},
    schedule=InverseSqrt,
)
