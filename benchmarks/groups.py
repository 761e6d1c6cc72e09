"""The groups of work. Each group is a list of subjects, each subject a list of works that only
differ in size; `full` is all of it, else a part, for one thread, and `quick` is a smoke test."""

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

from benchmarks import bars, images_peers, steps, steps_peers, training_peers
from benchmarks import graphs as graph
from benchmarks import images as image
from benchmarks import reddi as online
from benchmarks import training as train
from benchmarks.comparison import Contestants, Work

Subjects = Iterator[list[Work]]
MODELS = {
    "softmax 784-10": [784, 10],
    "MLP 784-100-10": [784, 100, 10],
    "MLP 784-1000-1000-10": [784, 1000, 1000, 10],
}
BATCHES = (32, 128, 1024)
ELEMENTWISE = ("SGD", "Momentum", "Adam", "AMSGrad", "AdamW", "Lion")
MATRIX = ("Adafactor", "Muon")
PART = ("Adam", "Muon")  # one of each
OF_EVERY_SIZE = "Adam"
LONG, SQUARE = (10**7,), (1000, 1000)  # the parameters that the README shows
SMALL = (79_510,)  # those of the MLP 784-100-10
BEFORE = ("SGD", "Momentum", "Lion", "Adam", "AMSGrad")
PER_TENSOR = ("LAMB", "AdamMini")
TENSORS, OF_EACH = 100, 1000
SCANS = {"jax scan": online.scan, "jax scan and compile": online.scan_and_compile}
ARRAYS = 7  # of the parameters' size, that a contestant at an optimizer step holds, about


def training(full: bool, quick: bool) -> Subjects:
    """A step of Adam on each model."""
    for name, sizes in MODELS.items():
        if quick and sizes != [784, 100, 10]:
            continue
        yield [
            Work(
                f"{name}, batch {batch}",
                _training(sizes, batch),
                bars.training(name, batch) if full else (),
                headline=full,
            )
            for batch in (BATCHES if full and not quick else (128,))
        ]


def _training(sizes: list[int], batch: int) -> Contestants:
    here = {
        "ours": train.ours,
        "ours numba": train.ours,
        "by hand": train.by_hand,
        "by hand numba": partial(train.by_hand, adam=train.adam_in_numba),
    }
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
    if full:
        yield [_one_parameter()]
    for rule in (*ELEMENTWISE, *MATRIX) if full and not quick else PART:
        shapes: list[steps.Shape] = [SQUARE if rule in MATRIX else LONG]
        if full and rule in MATRIX:
            shapes = [(n, n) for n in ((100,) if quick else (100, 316, 1000))]
        elif full and rule == OF_EVERY_SIZE:
            shapes = [(10**k,) for k in ((4, 6) if quick else (4, 5, 6, 7, 8))]
        yield [_step(rule, shape, full) for shape in shapes]


def _step(rule: str, shape: steps.Shape, full: bool) -> Work:
    headline = full and shape in (LONG, SQUARE)
    every = {"ours": partial(steps.ours, rule, shape)}
    if rule in ELEMENTWISE:
        every["ours numba"] = every["ours"]
    every["textbook"] = partial(steps.textbook, rule, shape)
    if rule in steps_peers.FORMS:
        every["torch default"] = partial(steps_peers.torch, rule, shape)
        for form in steps_peers.FORMS[rule]:
            every[f"torch {form}"] = partial(steps_peers.torch, rule, shape, **{form: True})
    every["jax"] = partial(steps_peers.jax, rule, shape)
    return Work(
        f"{rule}, {_parameters(shape)}",
        every,
        bars.STEP.get(rule, ()) if headline else (),
        otherwise={name: why for (of, name), why in steps_peers.OTHERWISE.items() if of == rule},
        size=prod(shape),
        moved=steps.moved(rule, shape),
        memory=len(every) * ARRAYS * 4 * prod(shape),
        headline=headline,
    )


def _one_parameter() -> Work:
    here = {"ours": steps.ours, "ours numba": steps.ours, "textbook": steps.textbook}
    every = {name: partial(make, "AMSGrad", (1,)) for name, make in here.items()}
    return Work(f"AMSGrad, {_parameters((1,))}", every, most=bars.STEP_OF_ONE)


def _parameters(shape: steps.Shape) -> str:
    return f"{' x '.join(f'{n:,}' for n in shape)} parameter{'s' * (prod(shape) > 1)}"


def compiled(full: bool, quick: bool) -> Subjects:
    """A pass that numba has compiled, beside the one that NumPy plays."""
    for rule, bar in bars.COMPILED.items():
        make = partial(steps.ours, rule, SMALL)
        name = f"{rule}, {_parameters(SMALL)}, one thread"
        yield [Work(name, {"ours": make, "ours numba": make}, (bar,), repeats=2, headline=True)]


def before(full: bool, quick: bool) -> Subjects:
    """Steps by NumPy, beside those of an earlier commit."""
    if full:
        for rule in ("AMSGrad",) if quick else BEFORE:
            yield [
                _beside_before(f"{rule}, {_parameters(shape)}", partial(steps.ours, rule, shape))
                for shape in ((1,), (1000,), *(() if quick else (SMALL, LONG)))
            ]
        for rule in PER_TENSOR:
            make = partial(steps.ours, rule, (OF_EACH,), TENSORS)
            yield [_beside_before(f"{rule}, {TENSORS} tensors of {OF_EACH:,}", make)]
        for name, sizes in MODELS.items():
            if quick and sizes != [784, 100, 10]:
                continue
            yield [
                _beside_before(f"{name}, batch {batch}", partial(train.ours, sizes, batch))
                for batch in ((128,) if quick else BATCHES)
            ]


def _beside_before(name: str, make: Callable[[], Iterator[Any]]) -> Work:
    every = {"ours": make, "ours before": make}
    return Work(f"{name}, now and before", every, (bars.BEFORE,), repeats=2)


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
    """Whole runs: stepwise, played in stretches, and as a replay."""
    if full:
        shorter = 100 if quick else 1
        runs = ((10**6, 1), (10**6, 100), (10**5, 10_000))
        sizes = [(max(online.CHECK, n // shorter), copies) for n, copies in runs]
        yield [_stepwise(n, copies) for n, copies in sizes]
        yield [
            *(_played(n, copies, "", bars.PLAYED) for n, copies in sizes),
            _played(*sizes[0], ", lr a function", bars.PLAYED_BY_A_FUNCTION, online.inverse_sqrt),
        ]
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


def _played(
    n: int,
    copies: int,
    how: str,
    most: dict[tuple[int, int], float],
    schedule: Callable[[int], float] | None = None,
) -> Work:
    """By NumPy, which plays step by step, of CHECK steps only: more would last."""
    return Work(
        f"Reddi's problem, {n:,} steps of {copies:,}, played{how}",
        {
            "ours": partial(online.played, online.CHECK, copies, schedule),
            "ours numba": partial(online.played, n, copies, schedule),
            **{name: partial(make, n, copies) for name, make in SCANS.items()},
        },
        most={"ours numba": most[n, copies]} if (n, copies) in most else {},
        scale={"ours": n / online.CHECK},
        first=1,
        whole=True,
        headline=True,
    )


def _replay(n: int) -> Work:
    return Work(
        f"Reddi's problem, {n:,} steps, replayed",
        {name: partial(make, n, 1) for name, make in {"ours": online.replay, **SCANS}.items()},
        bars.REPLAYED.get(n, ()),
        most=bars.REPLAYED_SECONDS.get(n, {}),
        first=1,
        whole=True,
        headline=True,
    )


def images(full: bool, quick: bool) -> Subjects:
    """Convolutions, and steps of CIFARNET, with bars of their own for one thread and for two."""
    if not full:
        for name, sizes in image.CONVOLUTIONS.items():
            if not quick or name == "16x16, 3x3, 64 to 64":
                yield [_convolution(name, sizes)]
    if not quick:
        for side in (24, 32):
            yield [_cifarnet(side, norm, full) for norm in (True, False)]


def _convolution(name: str, sizes: image.Sizes) -> Work:
    every = {"ours": image.ours, "products": image.products}
    every |= {"torch": images_peers.torch, "jax": images_peers.jax, "mygrad": images_peers.mygrad}
    return Work(
        f"convolution {name}, batch {image.BATCH}",
        {contestant: partial(make, sizes) for contestant, make in every.items()},
        bars.CONVOLUTIONS[name],
        otherwise={"products": "the products of matrices that patches take, and nothing else"},
        headline=True,
    )


def _cifarnet(side: int, norm: bool, full: bool) -> Work:
    every = {"ours": partial(image.cifarnet, side, norm)}
    if norm:
        every["torch"] = partial(images_peers.torch_cifarnet, side)
        every["torch 1x1"] = partial(images_peers.torch_cifarnet, side, "1x1")
        every["jax"] = partial(images_peers.jax_cifarnet, side)
    else:
        every["torch"] = partial(images_peers.torch_cifarnet, side, None)
    without = "" if norm else " without response normalization"
    return Work(
        f"CIFARNET {side}x{side}{without}, batch {image.BATCH}",
        every,
        (bars.CIFARNET_ON_TWO if full else bars.CIFARNET)[norm],
        headline=True,
    )


GROUPS = {
    "training": training,
    "optimizers": optimizers,
    "compiled": compiled,
    "before": before,
    "graphs": graphs,
    "reddi": reddi,
    "images": images,
}
