"""How sharply a loss is curved at a point, as an optimizer sees it."""

from collections.abc import Callable

import numpy as np

from minigrad import Tensor, to_host, xp
from optim import Optimizer

SHIFT = 1e-4  # length of the step over which gradients are differenced


def preconditioned_sharpness(
    loss: Callable[[int], Tensor], opt: Optimizer, directions: int = 30
) -> float:
    """The largest eigenvalue of D^-1/2 H D^-1/2, of the Hessian H of the loss where the parameters
    are and the rule's metric D, with its rate: what it is stable below is a number without units.
    Cohen et al., arXiv:2207.14484.

    The parameters are of one arena, in float64. Lanczos' method: the largest Ritz value of the
    Krylov space of that many dimensions, which is a lower bound; the products with H are central
    differences of gradients.
    """
    params = opt.params
    root = np.sqrt(to_host(opt.metric()))
    here = to_host(params.data).copy()

    def gradient(point: np.ndarray) -> np.ndarray:
        params.data = xp.asarray(point)
        params.zero_grad()
        loss(opt.t).backward()
        return to_host(params.grad).copy()

    def curved(direction: np.ndarray) -> np.ndarray:
        shift = direction / root
        size = np.linalg.norm(shift) / SHIFT
        ahead, behind = (gradient(here + sign * shift / size) for sign in (1, -1))
        return (ahead - behind) * (size / 2) / root

    largest = largest_eigenvalue(curved, params.size, min(directions, params.size))
    params.data = xp.asarray(here)
    return largest


def largest_eigenvalue(
    product: Callable[[np.ndarray], np.ndarray], size: int, directions: int
) -> float:
    """Of a symmetric matrix, of which products with vectors are given: its largest Ritz value in
    the Krylov space of a random vector."""
    image = np.random.default_rng(0).standard_normal(size)
    basis, images = np.zeros((2, directions, size))
    for k in range(directions):
        for _ in range(2):  # once leaves errors of rounding, which grow
            image = image - basis[:k].T @ (basis[:k] @ image)
        basis[k] = image / np.linalg.norm(image)
        image = images[k] = product(basis[k])
    small = basis @ images.T
    return float(np.linalg.eigvalsh((small + small.T) / 2)[-1])
