"""The images that the experiments train on, for scripts: `data.load("digits").train_x`."""

from experiments.problems.images import DIGITS, FASHION, DataError, Dataset, load
from experiments.problems.mnist import SHA256

__all__ = ["DIGITS", "FASHION", "SHA256", "DataError", "Dataset", "load"]
