"""The data the experiments train on: MNIST, Fashion-MNIST, CIFAR-10, or the small digits that come
with the project."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.problems import cifar10, mnist
from experiments.problems.cache import cache
from experiments.problems.dataset import DataError, Dataset
from minigrad.doctor import Row

DIGITS = "digits"  # the source that means the embedded images
MNIST, FASHION, CIFAR10 = mnist.NAME, mnist.FASHION, cifar10.NAME
TITLES = {DIGITS: "the 8x8 digits", **mnist.TITLES, CIFAR10: "CIFAR-10"}


def load(source: str | None, wanted: str = MNIST) -> Dataset:
    """What --data means: DIGITS, FASHION, a directory of MNIST, Fashion-MNIST or CIFAR-10, or None
    for the best that can be had.

    Wanted is MNIST, whose place Fashion-MNIST may take, or CIFAR10. None is MINIGRAD_DATA where
    that is set, else what the cache has or a mirror, else the digits with a note; they also stand
    in where a directory has only the data that are not wanted. Raises DataError for a source that
    was named and is not whole.
    """
    source = source or os.environ.get("MINIGRAD_DATA")
    if source == DIGITS:
        return load_digits()
    (read, is_in), title = KNOWN[wanted], TITLES[wanted]
    if source and not is_in(source) and any(of.is_in(source) for of in KNOWN.values()):
        return _digits_for(title, f"{source} has none of its files.")
    if source:
        return read(source)
    try:
        return read()
    except DataError as error:
        return _digits_for(title, str(error))


def _digits_for(title: str, why: str) -> Dataset:
    return replace(load_digits(), note=f"The 8x8 digits stand in for {title}: {why}")


def places() -> Iterator[Row]:
    """For the doctor, where `load` looks and what is there."""
    named = os.environ.get("MINIGRAD_DATA")
    if named and not mnist.is_name(named):  # which would be fetched
        for wanted in KNOWN:
            yield _row(
                "MINIGRAD_DATA", named, partial(load, named, wanted), "Unset it, or name another."
            )
    for name, command in (
        (MNIST, "run mlp"),
        (FASHION, f"run mlp --data {FASHION}"),
        (CIFAR10, "run cifarnet"),
    ):
        read = KNOWN[CIFAR10 if name == CIFAR10 else MNIST].load
        cure = f"`python -m experiments {command}` downloads {TITLES[name]}, if there is a network."
        yield _row("cache", str(cache(name)), partial(read, cache(name)), cure)
    yield _row("digits", "the project", load_digits, "Install the project anew.")


def _row(what: str, where: str, look: Callable[[], Dataset], cure: str) -> Row:
    try:
        data = look()
    except Exception as error:  # the digits can be damaged in any way
        return Row(what, str(error), cure)
    return Row(what, f"{len(data.train_x)} + {len(data.test_x)} images of {data.name} in {where}")


def load_digits() -> Dataset:
    """The embedded 8x8 handwritten digits: 1,497 to train on, 300 to test on.

    From "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine
    Learning Repository, 1998, CC BY 4.0, through scikit-learn's load_digits.
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        x = np.divide(file["images"].reshape(-1, 64), 16, dtype=np.float32)
        y = file["labels"].astype(np.int64)
    return Dataset(DIGITS, x[:1497], y[:1497], x[1497:], y[1497:], DIGITS)


class Known(NamedTuple):
    """Data that a directory may hold."""

    load: Callable[..., Dataset]
    is_in: Callable[[str], bool]


KNOWN = {
    MNIST: Known(mnist.load_mnist, mnist.is_in),
    CIFAR10: Known(cifar10.load_cifar10, cifar10.is_in),
}
