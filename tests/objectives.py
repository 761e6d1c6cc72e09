"""Functions to minimize, as loss and gradient in NumPy."""

import numpy as np

_rng = np.random.default_rng(7)
A, B = _rng.normal(size=(20, 12)) / 4, _rng.normal(size=20)
X0 = _rng.normal(size=12)


def log_cosh(x):
    """Smooth and strongly convex, but not quadratic: sum log cosh(A x - b) + |x|^2 / 20."""
    r = A @ x - B
    return np.sum(np.log(np.cosh(r))) + 0.05 * x @ x, A.T @ np.tanh(r) + 0.1 * x


def rosenbrock(x):
    """The banana valley; minimum 0 at (1, 1)."""
    slope = 200 * (x[1] - x[0] ** 2)
    loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    return loss, np.array([-2 * (1 - x[0]) - 2 * x[0] * slope, slope])
