"""Functions to minimize, as loss and gradient in NumPy, and rules at work on them."""

import numpy as np

import optim
from minigrad import Tensor

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


NAMED = {"LBFGS": optim.LBFGS, "PolyakSGD": optim.PolyakSGD, "Sophia": optim.Sophia}


class Run:
    """An optimizer at work on an objective, which counts its evaluations."""

    def __init__(self, rule, objective=log_cosh, x0=X0, dtype="float64", **settings):
        self.objective, self.calls = objective, []
        self.x = Tensor(x0, requires_grad=True, dtype=dtype)
        self.opt = rule([self.x], **settings)

    def closure(self):
        self.opt.zero_grad()
        x = self.x.numpy().copy()
        loss, slope = self.objective(x)
        self.calls.append((x, loss, slope))
        self.x.grad = np.asarray(slope, self.x.dtype)
        return Tensor(loss, dtype=self.x.dtype)

    def steps(self, count):
        losses, rows = [], []
        for _ in range(count):
            losses.append(self.opt.step(self.closure).item())
            rows.append(self.x.numpy().copy())
        return np.array(losses), np.array(rows)
