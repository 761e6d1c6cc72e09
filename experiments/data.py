"""The images that the experiments train on, for scripts: `data.load("digits").train_x`."""

from experiments.problems.images import DIGITS, SHA256, DataError, Dataset, load

__all__ = ["DIGITS", "SHA256", "DataError", "Dataset", "load"]
