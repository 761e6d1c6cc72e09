"""The problems of the tournament by name."""

from experiments.problems.classical import CLASSICAL
from experiments.problems.functions import LANDSCAPES
from experiments.tournament.entry import Entry
from experiments.tournament.functions import QUADRATICS, classical, landscape, quadratic
from experiments.tournament.networks import MODELS, classifier

NETWORKS = (*MODELS,)


def names() -> list[str]:
    """Of all problems, as they are listed."""
    return [*QUADRATICS, *LANDSCAPES, *CLASSICAL, *NETWORKS]


def entry(name: str, seeds: int, seed: int, data: str | None) -> Entry:
    """The problem of that name, with so many seeds from this one on."""
    if name in NETWORKS:
        return classifier(name, seeds, seed, data)
    if name in QUADRATICS:
        return quadratic(name, seeds, seed)
    return landscape(name, seeds, seed) if name in LANDSCAPES else classical(name, seed)
