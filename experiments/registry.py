"""Every experiment by name, in the order of the paper."""

from experiments.experiment import Experiment
from experiments.paper import (
    cifarnet,
    gamma,
    logistic,
    mlp,
    phase_diagram,
    synthetic_online,
    synthetic_stochastic,
    theorem_1,
)

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        synthetic_online,
        synthetic_stochastic,
        theorem_1,
        phase_diagram,
        gamma,
        logistic,
        mlp,
        cifarnet,
    )
}
