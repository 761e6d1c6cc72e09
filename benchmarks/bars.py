"""What is asked of us, and of which of us: "ours" is played by NumPy, "ours numba" is compiled, and
"ours before" is what NumPy played at an earlier commit."""

from benchmarks.rows import Bar

NUMBA = "ours numba"
TORCH = ("torch default", "torch foreach", "torch fused", "torch compiled")
RIVALS = (*TORCH, "jax")

OURS_OF_RIVALS = {  # the most of the fastest rival's time that a training step takes, by batch
    "softmax 784-10": {32: 1.1, 128: 0.7, 1024: 1.1},
    "MLP 784-100-10": {32: 1.1, 128: 0.85, 1024: 1.1},
    "MLP 784-1000-1000-10": {32: 1.1, 128: 1.1, 1024: 1.1},
}
NUMBA_OF_RIVALS = {
    "softmax 784-10": {32: 0.9, 128: 0.9},
    "MLP 784-100-10": {32: 0.9, 128: 0.9},
    "MLP 784-1000-1000-10": {32: 1.1, 128: 1.15, 1024: 1.15},
}
OURS_OF_HAND = {"softmax 784-10": 1.2, "MLP 784-100-10": 1.08, "MLP 784-1000-1000-10": 1.08}
OURS_OF_AUTOGRAD = {"softmax 784-10": {128: 0.4}, "MLP 784-100-10": {128: 0.4}}

_STEP = (
    Bar("torch default", 0.35),
    Bar("jax", 2),
    Bar("torch fused", 2.5),
    Bar(RIVALS, 1.1, whose=NUMBA),
)
STEP = {"Adam": _STEP, "AMSGrad": (*_STEP, Bar("textbook", 0.5))}  # over 10^7 parameters
STEP_OF_ONE = {"ours": 25e-6}  # seconds, AMSGrad
BUFFERS = 4e6  # bytes that a step of AMSGrad by NumPy takes and gives back, over 10^7 parameters

COMPILED = {  # over 79,510 parameters, in one thread
    "Momentum": Bar("ours", 0.5, whose=NUMBA),
    "Lion": Bar("ours", 0.3, whose=NUMBA),
    "Adam": Bar("ours", 0.35, whose=NUMBA),
    "AMSGrad": Bar("ours", 0.35, whose=NUMBA),
}
BEFORE = Bar("ours before", 1.05)

PLAYED = {(10**6, 1): 0.1, (10**6, 100): 0.6, (10**5, 10_000): 2.5}  # seconds of NUMBA
PLAYED_BY_A_FUNCTION = {(10**6, 1): 0.5}
REPLAYED = {10**6: (Bar("jax scan and compile", 1),)}
REPLAYED_SECONDS = {10**7: {"ours": 3.0}}

CONVOLUTIONS = {  # forward and backward, in one thread
    "12x12, 6x6, 64 to 64": (Bar("torch", 0.4), Bar("products", 0.35)),
    "24x24, 6x6, 3 to 64": (Bar("torch", 1.25),),
    "16x16, 3x3, 64 to 64": (Bar("torch", 0.75),),
    "16x16, 3x3, 128 to 128": (Bar("torch", 0.75),),
}
# a step, with response normalization and without, in one thread and in two
CIFARNET = {True: (Bar("torch", 0.4),), False: (Bar("torch", 0.55),)}
CIFARNET_ON_TWO: dict[bool, tuple[Bar, ...]] = {True: (Bar("torch 1x1", 1),), False: ()}

IMPORTS = {"minigrad": Bar("numpy", 1.25), "minigrad, optim, models": Bar("numpy", 1.5)}


def training(model: str, batch: int) -> tuple[Bar, ...]:
    """The bars of a training step."""
    found = [Bar("by hand", OURS_OF_HAND[model], 30e-6)]
    for names, whose, table in (
        (RIVALS, "ours", OURS_OF_RIVALS),
        (RIVALS, NUMBA, NUMBA_OF_RIVALS),
        ("autograd", "ours", OURS_OF_AUTOGRAD),
    ):
        if batch in table.get(model, {}):
            found.append(Bar(names, table[model][batch], whose=whose))
    return tuple(found)
