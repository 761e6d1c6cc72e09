"""What other implementations did, as tests/record wrote it down."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import optim
from optim.schedules import InverseSqrt


class Recorded(NamedTuple):
    """What another implementation did."""

    rule: type[optim.Optimizer]
    oracle: str
    settings: dict[str, Any]
    x0: Any
    grads: Any
    trajectory: Any


def recordings() -> Iterator[Recorded]:
    for path in sorted((Path(__file__).parents[1] / "oracles").glob("rules*.npz")):
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        x0, grads = arrays.pop("x0"), arrays.pop("grads")
        for key, trajectory in arrays.items():
            case = json.loads(key)
            settings = {
                name: InverseSqrt(value["alpha"])
                if isinstance(value, dict)
                else tuple(value)
                if isinstance(value, list)
                else value
                for name, value in case["settings"].items()
            }
            rule = optim.RULES[case["rule"].lower()]
            yield Recorded(rule, case["oracle"], settings, x0, grads, trajectory)


RECORDED = list(recordings())
X0, GRADS = RECORDED[0].x0, RECORDED[0].grads
