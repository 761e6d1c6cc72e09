"""Random problems whose gradients do not depend on x, to run rules on."""

from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from tests.driving import assert_identical, drive, end, tensors

STEPS, SIZE = 40, 16
betas = st.just(0.0) | st.floats(0.01, 0.999)
rates = st.floats(1e-4, 1)
examples = settings(max_examples=25)


class Problem(NamedTuple):
    """x_1, and gradients from dense to sparse, of scales from 1e-4 to 1e4."""

    seed: int
    density: float
    spread: float

    def draw(self):
        rng = np.random.default_rng(self.seed)
        scale = 10 ** rng.uniform(-self.spread, self.spread, (STEPS, SIZE))
        g = scale * rng.normal(size=scale.shape)
        return rng.normal(size=SIZE), np.where(rng.random(g.shape) < self.density, g, 0)


problems = st.builds(Problem, st.integers(0, 2**32), st.floats(0.02, 1), st.floats(0, 4))
dense = st.builds(Problem, st.integers(0, 2**32), st.just(1.0), st.just(0.0))


def run(rule, problem, dtype="float64", scale=1.0, **hyperparameters):
    x0, grads = problem.draw()
    opt = rule(tensors(x0.astype(dtype), [(SIZE,)]), **hyperparameters)
    return drive(opt, grads * scale), end(opt)


def assert_same(one, other):
    """The same trajectory and the same arrays that both have, bit for bit."""
    (rows, state), (other_rows, other_state) = one, other
    np.testing.assert_array_equal(rows, other_rows, strict=True)
    both = state.keys() & other_state.keys()
    assert {"m", "v"} <= both
    assert_identical({n: state[n] for n in both}, {n: other_state[n] for n in both})
