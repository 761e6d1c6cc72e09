"""Record where optax.projections 0.2.8 puts points: tests/oracles/projections.npz.

Euclidean projections of float64 points of many sizes and scales, inside and outside the sets.
Run as `python -m tests.record.projections`. In the file, "x0", "x1", ... are the points, and every
other name is the JSON of a set, its settings and the number of the point that it was given.
"""

import json
import os
from pathlib import Path

import numpy as np

os.environ["JAX_ENABLE_X64"] = "1"
import jax.numpy as jnp
from optax import projections

OUT = Path(__file__).parent.parent / "oracles" / "projections.npz"
SETS = [  # our name, optax's function, settings as it calls them, as we do
    ("NonNegative", projections.projection_non_negative, {}, {}),
    ("Box", projections.projection_box, {"lower": -0.5, "upper": 2}, {"lo": -0.5, "hi": 2}),
    *(
        (name, function, {"scale": radius}, {"radius": radius})
        for name, function in (
            ("Simplex", projections.projection_simplex),
            ("L1Ball", projections.projection_l1_ball),
            ("L2Ball", projections.projection_l2_ball),
        )
        for radius in (0.01, 1, 30)
    ),
]


def points():
    """Points of several sizes: random ones of several scales, ties, zeros, and single numbers."""
    rng = np.random.default_rng(2018)
    yield from (rng.normal(size=48) * scale for scale in (1e-3, 0.1, 1, 1e2, 1e4))
    yield rng.normal(size=48) * 10 ** rng.uniform(-3, 3, 48)
    yield np.round(rng.normal(size=48) * 2)
    yield rng.dirichlet(np.ones(48))
    yield from (
        np.array(x) for x in ([0.0] * 5, [-1.0] * 5, [0.25] * 4, [1.0, 0, 0], [3.0], [-3.0])
    )


def main():
    """Run every set on every point, check that the results are in the set, save."""
    arrays = {f"x{i}": x for i, x in enumerate(points())}
    for i, x in enumerate(points()):
        for name, project, theirs, ours in SETS:
            y = np.array(project(jnp.asarray(x), **theirs))
            size = {"L1Ball": np.abs(y).sum(), "L2Ball": np.sqrt((y * y).sum())}.get(name, 0)
            assert y.dtype == np.float64 and size <= ours.get("radius", 1) * (1 + 1e-9)
            assert name not in ("Simplex", "NonNegative") or y.min() >= 0
            assert name != "Simplex" or abs(y.sum() / ours["radius"] - 1) < 1e-9
            arrays[json.dumps({"set": name, "settings": ours, "point": i}, sort_keys=True)] = y
    np.savez_compressed(OUT, **arrays)
    print(f"{len(arrays)} arrays, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
