"""Hyperparameters to compare rules with their transcriptions at, as functions of t."""

from typing import Any

from optim import Box
from optim.schedules import Exponential, InverseSqrt


def half_inverse(t: int) -> float:
    """1 - 1/(2t)."""
    return 1 - 0.5 / t


ROOT = InverseSqrt(0.5)
DECAYING = Exponential(0.9, 0.97)  # Corollary 1 of Reddi, Kale and Kumar
PAPER: tuple[dict[str, Any], ...] = (
    {},
    {"lr": ROOT, "betas": (0.9, 0.99)},
    {"lr": ROOT, "betas": (0.9, 0.99), "projection": Box(-0.5, 0.8)},
    {"lr": 0.1, "betas": (0.0, 0.1)},
    {"lr": 0.03, "betas": (DECAYING, half_inverse)},
)
