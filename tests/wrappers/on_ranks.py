"""mpiexec -n N python -m tests.wrappers.on_ranks DIR: what AllReduce does on N ranks.

Rank r leaves in DIR/r.npz what it found: arrays and texts by the name of the case.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

import minigrad
import optim
from minigrad import Dropout, Parameters, Tensor, to_host
from minigrad.backend import xp
from models import CIFARNET, MLP
from optim import AllReduce, ClipNorm, SkipNonFinite
from tests.device import strict
from tests.wrappers.batches import BATCH, STEPS, adam, batches, clipped, network

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.Get_rank(), COMM.Get_size()
SHARDS, CHECK_EVERY = 4, 5


def flat(params: Parameters) -> Any:
    return to_host(params.gathered())


def train(model: MLP, opt: Any, steps: range = range(STEPS), weighted: bool = True) -> Any:
    """Step over those batches, this rank's parts of each; the weights at the end."""
    for x, y in batches(str(opt.params.dtype))[steps.start : steps.stop]:
        for part in opt.parts(len(x)):
            opt.zero_grad()
            model.loss(xp.asarray(x[part]), xp.asarray(y[part])).backward()
            opt.step(samples=part.stop - part.start if weighted else None)
    return flat(opt.params)


def closure_of(model: MLP, opt: Any, x: Any, y: Any) -> Any:
    (part,) = opt.parts(len(x))

    def closure() -> Tensor:
        opt.zero_grad()
        loss = model.loss(xp.asarray(x[part]), xp.asarray(y[part]))
        loss.backward()
        return loss

    return closure, part.stop - part.start


def agreement(made: Any, weighted: bool = True) -> Any:
    model = network()
    return train(
        model, AllReduce(made(model.parameters()), check_every=CHECK_EVERY), weighted=weighted
    )


def sharded(dtype: str) -> Any:
    model = network(dtype)
    inner = optim.ExponentialAverage(clipped(model.parameters()))
    return train(model, AllReduce(inner, deterministic=True, shards=SHARDS))


def with_closure(made: Any) -> Any:
    model = network()
    opt = AllReduce(made(model.parameters()))
    losses = []
    for x, y in batches()[:5]:
        closure, samples = closure_of(model, opt, x, y)
        losses.append(opt.step(closure, samples=samples).item())
    return np.concatenate([flat(opt.params), losses])


def convolutions() -> Any:
    """CIFARNET on 8x8 images, with dropout of the whole batch."""
    model = CIFARNET((8, 8, 1), 3, rng=0, dtype="float64")
    (dropout,) = [one for one in model.classifier.layers if isinstance(one, Dropout)]
    opt = AllReduce(optim.Adam(model.parameters()))
    images = np.random.default_rng(3).normal(size=(STEPS, BATCH, 8, 8, 1))
    for step, (x, (_, y)) in enumerate(zip(images, batches(), strict=True)):
        (part,) = opt.parts(len(x))
        dropout.set_part(step, part.start)
        opt.zero_grad()
        model.loss(xp.asarray(x[part]), xp.asarray(y[part])).backward()
        opt.step(samples=part.stop - part.start)
    return flat(opt.params)


def other_seeds() -> Any:
    return flat(AllReduce(adam(network(seed=RANK).parameters())).params)


def small_batch() -> Any:
    """One sample, so that all parts but one are empty."""
    model = network()
    opt = AllReduce(adam(model.parameters()))
    (part,) = opt.parts(1)
    x, y = (one[:1][part] for one in batches()[0])
    opt.params.grad = np.full(opt.params.size, np.nan)  # of an empty mean
    if len(x):
        opt.zero_grad()
        model.loss(xp.asarray(x), xp.asarray(y)).backward()
    opt.step(samples=len(x))
    return flat(opt.params)


def feed_bad(opt: Any) -> None:
    """A gradient that is not finite on the last rank alone."""
    opt.params.grad = np.full(opt.params.size, np.nan if RANK == SIZE - 1 else 1.0)


def said(function: Any, *arguments: Any, **named: Any) -> str:
    """The error that it raises."""
    try:
        function(*arguments, **named)
    except (ArithmeticError, AttributeError, ValueError, TypeError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def bad_gradient() -> dict[str, Any]:
    model = network()
    opt = AllReduce(clipped(model.parameters()))
    train(model, opt, range(3))
    before = flat(opt.params)
    feed_bad(opt)
    refused = said(opt.step)
    kept = bool((flat(opt.params) == before).all())
    return {"said": refused, "kept": kept, "t": opt.t, "": train(model, opt, range(3, STEPS))}


def bad_gradient_left_out() -> dict[str, Any]:
    model = network()
    opt = AllReduce(SkipNonFinite(clipped(model.parameters())))
    train(model, opt, range(3))
    feed_bad(opt)
    opt.step()
    return {"skipped": opt.skipped, "t": opt.t, "": train(model, opt, range(3, STEPS))}


def drifted() -> str:
    model = network()
    opt = AllReduce(adam(model.parameters()), check_every=CHECK_EVERY)
    train(model, opt, range(3))
    if RANK == SIZE - 1:
        opt.params.data[0] += 1e-9
    return said(train, model, opt)


def state_of_one_rank() -> str:
    model = network()
    opt = AllReduce(adam(model.parameters()))
    train(model, opt, range(3))
    if RANK == 0:
        opt.load_state_dict(AllReduce(adam(network().parameters()), MPI.COMM_SELF).state_dict())
    return said(train, model, opt)


def samples_of_one_rank() -> str:
    opt = AllReduce(adam(network().parameters()))
    return said(opt.step, samples=3 if RANK == 0 else None)


def no_samples() -> str:
    return said(AllReduce(adam(network().parameters())).step, samples=0)


def another_model() -> str:
    return said(AllReduce, adam(MLP([8, 16 + RANK, 3], rng=0).parameters()))


def shards_of_one_rank_too_many() -> str:
    shards = {"deterministic": True, "shards": SIZE + 1}
    return said(AllReduce, adam(network().parameters()), **shards)


def resumed(place: Path) -> Any:
    """From what a run on other ranks has saved, if any; else save for one."""
    model = network("float32")
    opt = AllReduce(clipped(model.parameters()), deterministic=True, shards=SHARDS)
    path, half = place / "half.npz", STEPS // 2
    if path.exists():
        saved = minigrad.load(path)
        model.load_state_dict(saved["model"])
        opt.load_state_dict(saved["opt"])
    else:
        train(model, opt, range(half))
        if RANK == 0:
            minigrad.save(path, model=model, opt=opt)
    COMM.Barrier()
    return train(model, opt, range(half, STEPS))


def wrapped() -> dict[str, str]:
    """What is said where another wrapper is around it."""
    opt = AllReduce(adam(network().parameters()))
    return {
        "clip norm": said(ClipNorm, opt, 1.0),
        "skip": said(SkipNonFinite, opt),
        "groups": said(optim.Groups, [opt]),
    }


def misused() -> dict[str, str]:
    """What is said of settings and calls that cannot be."""
    params = network().parameters()
    sharded = {"deterministic": True, "shards": SHARDS}
    opt = AllReduce(adam(params), **sharded)
    found = {
        "samples": said(opt.step, samples=-1),
        "closure": said(opt.step, lambda: Tensor(0.0)),
        "shards": said(setattr, opt, "shards", 8),
        "none": said(AllReduce, adam(params), deterministic=True),
        "lbfgs": said(AllReduce, optim.LBFGS(params), **sharded),
    }
    opt = AllReduce(adam(params), deterministic=True, shards=2 * SIZE)
    opt.step()
    return found | {"half": said(opt.state_dict)}


def two_runs() -> Any:
    """Parameters in two pieces of an arena."""
    model = network()
    tensors = list(model.parameters())
    opt = AllReduce(adam([*tensors[:1], *tensors[2:]]))
    assert len(opt.params.spans) == 2
    return train(model, opt)


def cases(place: Path) -> dict[str, Any]:
    return {
        "clipped": agreement(clipped),
        "accumulated": agreement(lambda p: optim.Accumulate(adam(p), 3)),
        "counted alike": agreement(adam, weighted=False),
        "two runs": two_runs(),
        "shards float32": sharded("float32"),
        "shards float64": sharded("float64"),
        "lbfgs": with_closure(lambda p: optim.LBFGS(p)),
        "sam": with_closure(lambda p: optim.SAM(p, adam)),
        "convolutions": convolutions(),
        "other seeds": other_seeds(),
        "small batch": small_batch(),
        "resumed": resumed(place),
        "bad": bad_gradient() if SIZE > 1 and minigrad.backend.current().on_host else {},
        "left out": bad_gradient_left_out() if SIZE > 1 else {},
        "drifted": drifted(),
        "state of one": state_of_one_rank(),
        "samples of one": samples_of_one_rank(),
        "no samples": no_samples(),
        "another model": another_model(),
        "around": wrapped(),
        "misused": misused(),
        "too many": shards_of_one_rank_too_many(),
    }


def main(place: Path) -> None:
    found = {}
    for name, one in cases(place).items():
        parts = one if isinstance(one, dict) else {"": one}
        found |= {f"{name} {part}".strip(): np.asarray(value) for part, value in parts.items()}
    np.savez(place / f"{RANK}.npz", **found)


if __name__ == "__main__":
    strict.register()
    main(Path(sys.argv[1]))
