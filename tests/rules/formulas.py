"""What the formulas of papers share."""

from math import prod

import numpy as np


def at(value, t):
    """A hyperparameter at step t."""
    return value(t) if callable(value) else value


def power(beta, t):
    """beta to the t, or the product of its values if it is a function."""
    return prod(at(beta, s) for s in range(1, t + 1))


def mean(beta, old, new):
    """A moving average, a step on."""
    return beta * old + (1 - beta) * new


def over(a, b):
    """a / b, where 0/0 is 0: the papers leave that case out."""
    return np.divide(a, b, out=np.zeros_like(a), where=np.asarray(a) != 0)


def norm(x):
    """Of all elements, whatever the shape."""
    return np.linalg.norm(np.ravel(x))
