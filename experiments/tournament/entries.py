"""The problems of the tournament by name."""

from functools import cache

from experiments.problems import images
from experiments.problems.classical import CLASSICAL
from experiments.problems.dataset import Dataset
from experiments.problems.functions import LANDSCAPES
from experiments.tournament.cifarnet import cifarnet
from experiments.tournament.entry import Entry
from experiments.tournament.functions import QUADRATICS, classical, landscape, quadratic
from experiments.tournament.networks import MODELS, classifier

LONG = "cifarnet"  # it alone takes longer than all others
NETWORKS = {**dict.fromkeys(MODELS, images.MNIST), LONG: images.CIFAR10}  # and the data they are on


def names() -> list[str]:
    """Of all problems, as they are listed."""
    return [*QUADRATICS, *LANDSCAPES, *CLASSICAL, *NETWORKS]


def entry(name: str, seeds: int, seed: int, data: str, sha256: str = "") -> Entry:
    """The problem of that name, with so many seeds from this one on; on such data, of which that is
    the SHA-256, if one is given."""
    if name in NETWORKS:
        found = images_of(data, NETWORKS[name])
        if sha256:
            found.check_same(sha256)
        if name == LONG:
            return cifarnet(seeds, seed, found)
        return classifier(name, seeds, seed, found)
    if name in QUADRATICS:
        return quadratic(name, seeds, seed)
    return landscape(name, seeds, seed) if name in LANDSCAPES else classical(name, seed)


@cache
def images_of(data: str, wanted: str) -> Dataset:
    """What `images.load` finds there, once in a process."""
    return images.load(data, wanted)
