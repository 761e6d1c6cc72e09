"""Every experiment by name, in the order of the paper."""

from experiments.paper import (
    gamma,
    logistic,
    mlp,
    phase_diagram,
    synthetic_online,
    synthetic_stochastic,
    theorem_1,
)

EXPERIMENTS = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        synthetic_online,
        synthetic_stochastic,
        theorem_1,
        phase_diagram,
        gamma,
        logistic,
        mlp,
    )
}
