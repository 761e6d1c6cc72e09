"""Random matrices and their gradients, to run the rules that see shapes on."""

import numpy as np
from hypothesis import strategies as st

from tests.driving import drive, tensors

STEPS, M, N = 12, 4, 5
seeds = st.integers(0, 2**32)


def draw(seed, shape=(M, N)):
    """x_1, and dense gradients of that shape."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(size=(STEPS, *shape))


def run(rule, x, grads, **hyperparameters):
    """The tensor after every step."""
    opt = rule(tensors(x.ravel(), [x.shape]), **hyperparameters)
    return drive(opt, grads.reshape(len(grads), -1)).reshape(-1, *x.shape), opt


def orthogonal(seed, n):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
