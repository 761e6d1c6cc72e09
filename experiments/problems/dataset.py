"""What every set of images is, and what is raised for one that is unfit."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = ("float32", "uint8")


class DataError(ValueError):
    """Data that are missing, damaged or unfit to train on."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, flat (n, d) or whole (n, height, width, channels), float32 in [0, 1] or uint8, and
    labels (n,), int64; raises DataError for unfit ones.

    Loading `source` gives the same again; `note` is empty, or one sentence that says why these are
    not the data that were asked for.
    """

    name: str
    train_x: NDArray[Any]
    train_y: NDArray[np.int64]
    test_x: NDArray[Any]
    test_y: NDArray[np.int64]
    source: str = ""
    note: str = ""

    @cached_property
    def sha256(self) -> str:
        """That of the images and labels, by which a run knows its data again."""
        digest = hashlib.sha256()
        for one in (self.train_x, self.train_y, self.test_x, self.test_y):
            digest.update(f"{one.dtype} {one.shape}\n".encode())
            digest.update(np.ascontiguousarray(one))
        return digest.hexdigest()

    def check_same(self, sha256: str) -> None:
        """Raise DataError where a run began with other data, of which that is the SHA-256."""
        if self.sha256 != sha256:
            raise DataError(
                f"{self.source} has other images or labels now than when the run began; give it "
                "back the old ones, or begin anew with --force."
            )

    @property
    def n_classes(self) -> int:
        """One more than the largest label of the training set."""
        return int(self.train_y.max()) + 1

    def __post_init__(self) -> None:
        splits = ("train", self.train_x, self.train_y), ("test", self.test_x, self.test_y)
        for split, x, y in splits:
            shape = self.train_x.shape[1:]
            if x.ndim not in (2, 4) or x.size == 0 or x.dtype not in DTYPES or x.shape[1:] != shape:
                raise DataError(
                    f"{split}_x is {x.dtype} of shape {x.shape}: pass float32 or uint8 images of "
                    "shape (n, d) or (n, height, width, channels), n > 0, with one shape for train "
                    "and test."
                )
            if y.shape != x.shape[:1] or y.dtype != np.int64:
                raise DataError(
                    f"{split}_y is {y.dtype} of shape {y.shape} for {len(x)} images: "
                    "pass one int64 label for each image."
                )
            bad = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1) if x.dtype.kind == "f" else y != y
            if bad.any():
                raise DataError(f"{split}_x[{bad.argmax()}] is not finite: remove such images.")
            bad = (y < 0) | (y >= self.n_classes)
            if bad.any():
                raise DataError(
                    f"{split}_y[{bad.argmax()}] is {y[bad.argmax()]}: "
                    f"pass labels from 0 to the largest in train_y, {self.n_classes - 1}."
                )
