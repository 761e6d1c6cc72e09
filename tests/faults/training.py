"""python -m tests.faults.training FILE: train, saving after every step; continue where FILE is."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import minigrad
import optim
from experiments import data
from models import MLP

STEPS = 300
BATCH = 128
digits = data.load(data.DIGITS)


class Training:
    """A network on the digits, and the step that it is at."""

    def __init__(self) -> None:
        self.model = MLP([64, 200, 200, 10], rng=0)
        self.opt = optim.AMSGrad(self.model.parameters(), lr=optim.schedules.InverseSqrt(0.01))
        self.step = 0

    def advance(self) -> None:
        """Take one step, on images that depend on its number alone."""
        start = self.step * BATCH % (len(digits.train_x) - BATCH)
        x, y = (part[start : start + BATCH] for part in (digits.train_x, digits.train_y))
        self.opt.zero_grad()
        self.model.loss(x, y).backward()
        self.opt.step()
        self.step += 1

    def save(self, path: Path) -> None:
        minigrad.save(path, model=self.model, opt=self.opt, step=self.step)

    def load(self, path: Path) -> None:
        saved = minigrad.load(path)
        self.model.load_state_dict(saved["model"])
        self.opt.load_state_dict(saved["opt"])
        self.step = saved["step"]


def digest(content: Any) -> str:
    """A text that is another for another bit of a checkpoint's content."""
    known = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                known.update(repr(name).encode())
                add(inner)
        elif hasattr(value, "tobytes"):
            known.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
        else:
            known.update(repr(value).encode())

    add(content)
    return known.hexdigest()


def main(path: Path) -> None:
    """Train to the end."""
    training = Training()
    if path.exists():
        training.load(path)
    print("ready", flush=True)
    while training.step < STEPS:
        training.advance()
        training.save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
