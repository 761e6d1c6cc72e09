"""The groups of work and their bars. Each group is a list of subjects, each subject a list of
works that only differ in size; `full` is all of it, else a part, for one thread or a smoke test."""

from collections.abc import Iterator
from functools import partial
from math import inf, prod

from benchmarks import graphs as graph
from benchmarks import reddi as online
from benchmarks import steps, steps_peers, training_peers
from benchmarks import training as train
from benchmarks.comparison import Contestants, Work
from benchmarks.rows import Bar

Subjects = Iterator[list[Work]]
RIVALS = ("torch", "jax")
MODELS = {  # sizes; the most of the rivals' time at batch 128, and of that of the step by hand
    "softmax 784-10": ([784, 10], 0.7, 1.2),
    "MLP 784-100-10": ([784, 100, 10], 0.85, 1.08),
    "MLP 784-1000-1000-10": ([784, 1000, 1000, 10], 1.1, 1.08),
}
ELEMENTWISE = {  # the bars over 10^7 parameters
    "SGD": (),
    "Momentum": (),
    "Adam": (Bar("torch default", 0.35), Bar("jax", 2), Bar("torch fused", 2.5)),
    "AMSGrad": (
        Bar("torch default", 0.35),
        Bar("jax", 2),
        Bar("torch fused", 2.5),
        Bar("textbook", 0.5),
    ),
    "AdamW": (),
    "Lion": (),
}
MATRIX = ("Adafactor", "Muon")
PART = ("AMSGrad", "Muon")  # one of each
SCANS = {"jax scan": online.scan, "jax scan and compile": online.scan_and_compile}
ARRAYS = 7  # of the parameters' size, that a contestant at an optimizer step holds, about


def training(full: bool, quick: bool) -> Subjects:
    """A step of Adam on each model."""
    for name, (sizes, bar, by_hand) in MODELS.items():
        if quick and sizes != [784, 100, 10]:
            continue
        yield [
            Work(
                f"{name}, batch {batch}",
                _training(sizes, batch),
                (
                    Bar(RIVALS, bar if batch == 128 else 1.1),
                    Bar("by hand", by_hand, 30e-6),
                    *([Bar("autograd", 0.4)] if batch == 128 and len(sizes) < 4 else []),
                )
                if full
                else (),
                headline=full,
            )
            for batch in ((32, 128, 1024) if full and not quick else (128,))
        ]


def _training(sizes: list[int], batch: int) -> Contestants:
    here = {"ours": train.ours, "by hand": train.by_hand}
    peers = {
        "torch default": training_peers.torch,
        "torch foreach": partial(training_peers.torch, foreach=True),
        "torch fused": partial(training_peers.torch, fused=True),
        "torch compiled": training_peers.torch_compiled,
        "jax": training_peers.jax,
        "autograd": training_peers.autograd,
        "mygrad": training_peers.mygrad,
        "tinygrad": training_peers.tinygrad,
    }
    return {name: partial(make, sizes, batch) for name, make in {**here, **peers}.items()}


def optimizers(full: bool, quick: bool) -> Subjects:
    """A step of each rule."""
    sizes = (7,) if not full else (4, 6) if quick else (4, 5, 6, 7, 8)
    for rule, bars in ELEMENTWISE.items():
        if (full and not quick) or rule in PART:
            works = [
                _step(rule, (10**k,), bars if full and k == 7 else (), headline=full and k == 7)
                for k in sizes
            ]
            yield [_one_parameter(), *works] if rule == "AMSGrad" and full else works
    sides = (1000,) if not full else (100,) if quick else (100, 316, 1000)
    for rule in MATRIX:
        if (full and not quick) or rule in PART:
            yield [_step(rule, (n, n), (), headline=full and n == 1000) for n in sides]


def _step(rule: str, shape: steps.Shape, bars: tuple[Bar, ...], headline: bool) -> Work:
    every = {
        "ours": partial(steps.ours, rule, shape),
        "textbook": partial(steps.textbook, rule, shape),
    }
    if rule in steps_peers.FORMS:
        every["torch default"] = partial(steps_peers.torch, rule, shape)
        for form in steps_peers.FORMS[rule]:
            every[f"torch {form}"] = partial(steps_peers.torch, rule, shape, **{form: True})
    every["jax"] = partial(steps_peers.jax, rule, shape)
    return Work(
        f"{rule}, {' x '.join(f'{n:,}' for n in shape)} parameters",
        every,
        bars,
        otherwise={name: why for (of, name), why in steps_peers.OTHERWISE.items() if of == rule},
        size=prod(shape),
        moved=steps.moved(rule, shape),
        memory=len(every) * ARRAYS * 4 * prod(shape),
        headline=headline,
    )


def _one_parameter() -> Work:
    here = {"ours": steps.ours, "textbook": steps.textbook}
    every = {name: partial(make, "AMSGrad", (1,)) for name, make in here.items()}
    return Work("AMSGrad, 1 parameter", every, most=25e-6)


def graphs(full: bool, quick: bool) -> Subjects:
    """Time per op, forward and backward."""
    if full:
        every = {
            "ours": graph.ours,
            "torch": graph.torch,
            "jax": graph.jax,
            "jax jit": partial(graph.jax, jit=True),
            "autograd": graph.autograd,
            "mygrad": graph.mygrad,
            "tinygrad": graph.tinygrad,
        }
        yield [
            Work(
                f"an op in a {kind.__name__} graph of {count}",
                {name: partial(make, kind) for name, make in every.items()},
                scale=dict.fromkeys(every, 1 / count),
                headline=True,
            )
            for kind, count in graph.OPS.items()
        ]


def reddi(full: bool, quick: bool) -> Subjects:
    """Whole runs, stepwise and as a replay."""
    if full:
        shorter = 100 if quick else 1
        runs = ((10**6, 1), (10**6, 100), (10**5, 10_000))
        yield [_stepwise(max(online.CHECK, n // shorter), copies) for n, copies in runs]
        yield [_replay(n // shorter) for n in (10**6, 10**7)]


def _stepwise(n: int, copies: int) -> Work:
    every = {"ours": online.stepwise, **SCANS, "torch loop": online.torch}
    return Work(
        f"Reddi's problem, {n:,} steps of {copies:,}, stepwise",
        {name: partial(make, n, copies) for name, make in every.items()},
        scale={"torch loop": n / online.CHECK},
        first=1,
        whole=True,
        headline=True,
    )


def _replay(n: int) -> Work:
    return Work(
        f"Reddi's problem, {n:,} steps, replayed",
        {name: partial(make, n, 1) for name, make in {"ours": online.replay, **SCANS}.items()},
        (Bar("jax scan and compile", 1),) if n == 10**6 else (),
        most=3.0 if n == 10**7 else inf,
        first=1,
        whole=True,
        headline=True,
    )


GROUPS = {
    "training": training,
    "optimizers": optimizers,
    "graphs": graphs,
    "reddi": reddi,
}
