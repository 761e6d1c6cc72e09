"""A network with one hidden layer of 100 ReLU on MNIST, constant alpha: the second experiment of
Section 5 of Reddi, Kale and Kumar 2018 (Figure 2), with every rate tuned."""

from experiments.paper import classification
from models import MLP

EXPERIMENT = classification.experiment(
    name="mlp",
    summary="100 hidden ReLU on MNIST, Fashion-MNIST or the digits, constant alpha (Figure 2)",
    title="one hidden layer of 100 ReLU, constant alpha",
    model=lambda n_in, n_classes, seed: MLP([n_in, 100, n_classes], rng=seed),
    lowest={"SGD": -3.0, "AdaGrad": -3.5, "Adam": -5.0, "AMSGrad": -5.0},
    schedule=float,
)
