"""Random sequences of what is done to an optimizer, beside one to which only the successes are."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import optim
from tests.faults.disturbing import Fault, half_way, interrupt_at, rate, refuses, same
from tests.faults.nests import SETTINGS, Nest
from tests.faults.part import Report

OPERATIONS = 30  # in a sequence
Operation = Callable[[Nest], Any]


def of_sequences(count: int, rng: np.random.Generator) -> Report:
    """Step, refuse, interrupt, save, load, average, freeze and set at random; all that succeeded
    must have the bits of a run that did nothing else."""
    faults, done = [], Counter[str]()
    with tempfile.TemporaryDirectory() as place, np.errstate(all="ignore"):
        for number in range(count):
            sequence = Sequence(rng, Path(place, "saved.npz"), done)
            try:
                for _ in range(OPERATIONS):
                    name = str(rng.choice(list(Sequence.KINDS), p=Sequence.CHANCES))
                    sequence.do(name)
            except Exception as error:
                kind = "" if isinstance(error, Fault) else f"{type(error).__name__}: "
                nest = f"{sequence.run.opt!r:.150}"
                faults.append(f"sequence {number}, {name}: {kind}{error!s:.300} [{nest}]")
    kinds = ", ".join(f"{done[name]} {name}" for name in sorted(done))
    return f"{count} sequences of {OPERATIONS}: {kinds}", faults


class Sequence:
    """An optimizer to which things happen, and what a run without the failures is made of."""

    KINDS: ClassVar = {  # how often each is drawn
        "step": 10, "not finite": 2, "huge": 1, "interrupt": 3, "bad rate": 1, "freeze": 1,
        "set": 2, "bad setting": 1, "feed": 2, "save": 2, "load": 2, "average": 3, "older": 1,
        "flush": 1, "drop": 1, "weights": 2,
    }  # fmt: skip
    CHANCES = np.array(list(KINDS.values())) / sum(KINDS.values())

    def __init__(self, rng: np.random.Generator, path: Path, done: Counter[str]):
        self.rng, self.path, self.done = rng, path, done
        self.seed = int(rng.integers(2**32))
        self.start: Any = None  # weights that were loaded before the first step
        self.log: list[Operation] = []  # what has succeeded
        self.run, self.reference = self.replayed(), self.replayed()
        self.save()

    def do(self, kind: str) -> None:
        getattr(self, kind.replace(" ", "_"))()
        self.done[kind] += 1
        same(self.run.digest(), self.reference.digest(), "another trajectory than the reference")

    def replayed(self) -> Nest:
        """A run of what has succeeded, and nothing else."""
        nest = Nest(self.seed, self.start)
        for operation in self.log:
            operation(nest)
        return nest

    def happens(
        self, operation: Operation, refusals: Any = (), disturbed: Operation | None = None,
        must: bool = False,
    ) -> None:  # fmt: skip
        """Do it; an error of these types must leave all as it was, or say so from then on."""
        before = self.run.digest()
        try:
            (disturbed or operation)(self.run)
        except refusals as error:
            self.done[f"({type(error).__name__})"] += 1
            if half_way(self.run):
                self.done["(half-way)"] += 1
                self.load()
                return
            if self.run.digest() == before:
                return
            if not isinstance(error, KeyboardInterrupt):
                raise Fault(f"refused, but not unchanged: {error!s:.100}") from error
        else:
            if must:
                raise Fault("not refused")
        operation(self.reference)
        self.log.append(operation)

    # The operations, by their names

    def step(self) -> None:
        x, closure = self.rng.normal(size=(5, 3)), bool(self.rng.integers(2))
        self.happens(lambda nest: nest.step(x, closure))
        if not np.isfinite(self.run.params.gathered()).all():
            raise Fault("weights that are not finite")

    def not_finite(self) -> None:
        """The gradient of one tensor."""
        x, penalties = self.rng.normal(size=(5, 3)), [0.05] * 3
        penalties[self.rng.integers(3)] = float(self.rng.choice([np.nan, np.inf]))
        skips = any(isinstance(part, optim.SkipNonFinite) for part in self.run.parts())
        self.happens(
            lambda nest: nest.step(x, penalties=penalties), FloatingPointError, must=not skips
        )

    def huge(self) -> None:
        """A gradient whose square overflows, or a rate at which the update may."""
        x = self.rng.normal(size=(5, 3))
        rule = int(self.rng.integers(len(self.run.opt.rules)))
        largest = float(np.finfo(self.run.params.dtype).max)

        def overflow(nest: Nest) -> None:
            with rate(nest, rule, lambda t: largest / 2):
                nest.step(x)

        self.happens(overflow, FloatingPointError)
        self.load()

    def interrupt(self) -> None:
        """Ctrl-C at any line of the optimizers' code in a step."""
        x, line = self.rng.normal(size=(5, 3)), int(self.rng.integers(1, 400))

        def interrupted(nest: Nest) -> None:
            with interrupt_at(line):
                nest.step(x)

        self.happens(lambda nest: nest.step(x), KeyboardInterrupt, interrupted)

    def bad_rate(self) -> None:
        x, rule = self.rng.normal(size=(5, 3)), int(self.rng.integers(len(self.run.opt.rules)))

        def out_of_range(nest: Nest) -> None:
            with rate(nest, rule, lambda t: -1.0):
                nest.step(x)

        must = self.run.opt.due and len(self.run.opt.rules) == 1
        must &= not isinstance(self.run.opt.rules[0], optim.Rprop)
        self.happens(out_of_range, ValueError, must=must)

    def freeze(self) -> None:
        x, which = self.rng.normal(size=(5, 3)), int(self.rng.integers(3))

        def frozen(nest: Nest) -> None:
            nest.params.tensors[which].requires_grad = False
            try:
                nest.step(x)
            finally:
                nest.params.tensors[which].requires_grad = True

        must = self.run.opt.due and len(self.run.opt.rules) == 1
        self.happens(frozen, RuntimeError, must=must)

    def set(self) -> None:
        number, share = int(self.rng.integers(len(self.run.parts()))), self.rng.random()

        def change(nest: Nest) -> None:
            part = nest.parts()[number]
            for name, (low, high) in SETTINGS.items():
                if name in vars(part):
                    setattr(part, name, low + share * (high - low))
            if part in nest.opt.rules and not isinstance(part, optim.Rprop):
                if part.lr not in nest.plateaus():
                    part.lr = 0.01 + 0.1 * share

        self.happens(change)

    def bad_setting(self) -> None:
        number = int(self.rng.integers(len(self.run.parts())))

        def change(nest: Nest) -> None:
            part = nest.parts()[number]
            for name in ("lr", "norm", "value", "every", "k", "decay", "rho", "weight_decay"):
                if name in vars(part):
                    setattr(part, name, -1)

        self.happens(change, (ValueError, AttributeError))

    def feed(self) -> None:
        """Losses, which need not fall, for the schedules that follow one."""
        losses = self.rng.random(3).tolist()
        self.happens(lambda nest: [p.feed(loss) for p in nest.plateaus() for loss in losses])

    def save(self) -> None:
        self.run.save(self.path)
        self.saved = self.start, len(self.log)

    def load(self) -> None:
        """Go back to what was saved, here or in one that was built with other rates."""
        if self.rng.integers(2):
            self.run = Nest(self.seed, factor=0.5)
        self.run.load(self.path)
        self.start, known = self.saved
        del self.log[known:]
        self.reference = self.replayed()

    def average(self) -> None:
        """Evaluate with the averages, and perhaps save there and continue from that."""
        before, run, saves = self.run.digest(), self.run, self.log and bool(self.rng.integers(2))
        with (twin := self.replayed()).opt.averaged():
            expected = twin.params.gathered().tobytes()
        with run.opt.averaged():
            same(run.params.gathered().tobytes(), expected, "other averages than the reference")
            if saves:
                self.save()
            if run.params.are_shown:
                refuses(lambda: run.step(np.ones((5, 3))), "step() inside averaged()")
                refuses(lambda: run.opt.load_state_dict({}), "loading inside averaged()")
            if all(rule.params.are_shown for rule in run.opt.rules):
                run.params.load_state_dict({n: 0 * t.numpy() for n, t in run.params.items()})
        same(run.digest(), before, "averaged() has not put all back")
        if saves:
            self.load()

    def older(self) -> None:
        """Build another optimizer of some parameters, which the older one may not touch."""
        self.save()
        run, before = self.run, self.run.digest()
        saved = run.opt.state_dict()
        optim.SGD(run.params.tensors[: self.rng.integers(1, 4)], lr=0.1)
        refuses(lambda: run.step(np.ones((5, 3))), "step() of an older owner")
        refuses(lambda: run.opt.load_state_dict(saved), "load_state_dict() of an older owner")
        refuses(lambda: run.opt.averaged().__enter__(), "averaged() of an older owner")
        same(run.digest(), before, "an older owner has changed something")
        self.run = Nest(self.seed)
        self.load()

    def flush(self) -> None:
        self.happens(lambda nest: nest.opt.flush(), TypeError)

    def drop(self) -> None:
        self.happens(lambda nest: nest.opt.drop())

    def weights(self) -> None:
        """Weights loaded before the first step: the same as to build the optimizer after."""
        if self.log:
            return
        self.start = {n: self.rng.normal(size=t.shape).astype(t.dtype)
                      for n, t in self.run.params.items()}  # fmt: skip
        self.run.params.load_state_dict(self.start)
        self.reference = self.replayed()
