"""Every experiment by name: those of the paper in its order, and those of what came after it."""

from collections.abc import Iterable

from experiments.claims import (
    adopt,
    bias,
    cycles,
    edge,
    floor,
    generalization,
    horizon,
    landscapes,
    memory,
    projection,
    rare,
    regret,
    stall,
    threshold,
    ways,
    why,
)
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
from experiments.record.wording import listed
from experiments.tournament import declaration as tournament
from minigrad.errors import nearest

_PAPER = (
    synthetic_online,
    synthetic_stochastic,
    theorem_1,
    phase_diagram,
    gamma,
    logistic,
    mlp,
    cifarnet,
)
_CLAIMS = (
    why,
    memory,
    ways,
    landscapes,
    cycles,
    edge,
    rare,
    generalization,
    regret,
    stall,
    projection,
    threshold,
    adopt,
    bias,
    horizon,
    floor,
)

PAPER: dict[str, Experiment] = {m.EXPERIMENT.name: m.EXPERIMENT for m in _PAPER}
GALLERY = PAPER | {m.EXPERIMENT.name: m.EXPERIMENT for m in _CLAIMS}
# A tournament of all rules takes as long as the others together
EXPERIMENTS = GALLERY | {tournament.EXPERIMENT.name: tournament.EXPERIMENT}


def find(name: str) -> Experiment:
    """The experiment of that name; raises ValueError, with the nearest, for no name."""
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment {name!r} is unknown; {nearest(name, EXPERIMENTS)}")
    return EXPERIMENTS[name]


def meant(name: str, known: Iterable[str]) -> str:
    """What a setting that is not known may mean: one that is, or one of other experiments, as
    rules are."""
    having = [one.name for one in EXPERIMENTS.values() if hasattr(one.settings, name)]
    if having and name.removesuffix("s") not in known:
        return f"it is a setting of {listed(having)}."
    return nearest(name, known)
