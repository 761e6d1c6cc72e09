"""A rule under the schedule of its own theorem, on many problems at once."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from inspect import getsource
from typing import Any

import numpy as np

from experiments.loops.compared import OF_SUMS, undivided
from minigrad import Parameters, Tensor
from optim import Box
from optim.engine.whole import plays_whole, step_program
from optim.named import named, read
from optim.schedules import InverseSqrt

BOX = Box(-1, 1)
PENALTIES = (
    "weight_decay",
    "lambd",
    "l1",
    "l2",
)  # of another objective than the one that is hunted
COMMON = "alpha / sqrt(t)", "the common schedule"
CONSTANT = "alpha"
SCHEDULES = {  # where the theorem of a rule has another one, or another source
    "SGD": (COMMON[0], "Zinkevich 2003, Theorem 1"),
    "Adam": (COMMON[0], "Kingma and Ba 2015, Theorem 4.1"),
    "AMSGrad": (COMMON[0], "Reddi, Kale and Kumar 2018, Theorem 4"),
    "AdamNC": (COMMON[0], "Reddi, Kale and Kumar 2018, Corollary 2"),
    **dict.fromkeys(OF_SUMS, (CONSTANT, "Duchi, Hazan and Singer 2011, Theorem 5")),
}
SIZE = "its step is in proportion to the size of x, so that a period moves x by no one amount"
LOSS = "it asks for a closure, and not for the slopes alone"
OWN_RATE = "it finds its own rate from all steps so far, so that no step is one of a schedule"
AVERAGE = "what is said of it is said of an average, which it does not play"
OTHER = {  # rules that are not hunted, each with the reason
    "Rprop": "its step sizes begin at lr and follow no schedule after that",
    "AdaGradNorm": "in one coordinate it is AdaGrad",
    "AvaGrad": "in one coordinate it is Momentum, scaled by 1 - beta1",
    "MaxAdaShift": "in one coordinate it is AdaShift",
    "AdamMini": "in one coordinate it is Adam",
    "ASGD": "without a decay of the weights it is SGD",
    "SGDW": "without a decay of the weights it is Momentum",
    "AdamW": "without a decay of the weights it is Adam",
    "NAdamW": "without a decay of the weights it is NAdam",
    **dict.fromkeys(("LARS", "LAMB", "Adafactor"), SIZE),
    "Shampoo": "in one coordinate it is AdaGrad",
    "SM3": "in one coordinate it is AdaGrad, moving by the running mean of its steps",
    "SOAP": "in one coordinate and without a decay of the weights it is Adam, a step late",
    "Muon": "in a vector, without a decay of the weights, it is Adam",
    **dict.fromkeys(("DoG", "DoWG", "DAdaptAdam", "Prodigy"), OWN_RATE),
    **dict.fromkeys(("ScheduleFreeSGD", "ScheduleFreeAdamW"), AVERAGE),
    **dict.fromkeys(("PolyakSGD", "Sophia", "LBFGS"), LOSS),
}


@dataclass(frozen=True)
class Hunted:
    """A rule with its settings; alpha_t is alpha, over sqrt(t) where `schedule` says so.

    Penalties are 0, since the problem is the loss alone. For rules whose steps are as large as the
    gradients alpha is divided by the root mean square of the slopes.
    """

    rule: Any
    schedule: str
    source: str
    settings: dict[str, Any] = field(default_factory=dict)
    alpha: float = 0.5
    undivided: bool = False  # whether steps are as large as the gradients
    text: str = field(default="", repr=False)  # of the file that the rule is from, if it is

    @classmethod
    def of(cls, name: str, schedule: str | None = None, **settings: Any) -> "Hunted":
        """The rule of that name, as optim.named has them; its own schedule where none is given."""
        one = named(name)
        rule = one.rule
        if one.file is None and rule.__name__ in OTHER:
            raise ValueError(f"{rule.__name__} is not hunted: {OTHER[rule.__name__]}.")
        own, source = SCHEDULES.get(rule.__name__, COMMON)
        if schedule not in (None, own):
            own, source = schedule, "as asked for"
        if own not in (COMMON[0], CONSTANT):
            raise ValueError(f"schedule={own!r}: give {COMMON[0]!r} or {CONSTANT!r}.")
        settings = {**one.fixed, **settings}
        if "lr" not in rule.hyperparameters():
            raise ValueError(f"{rule.__name__} has no lr, of which a hunt would be the schedule.")
        if "lr" in settings:
            raise ValueError("lr is alpha under a schedule, which the hunt chooses; leave it out.")
        free = {name: 0.0 for name in PENALTIES if name in rule.hyperparameters()}
        [text] = read([name], {}).values() if one.file else [""]
        made = cls(rule, own, source, free | settings, undivided=undivided(one), text=text)
        try:
            made.built(np.zeros(1))
        except TypeError as error:  # for a setting that the rule has not
            raise ValueError(str(error)) from None
        return made

    @property
    def name(self) -> str:
        return str(self.rule.__name__)

    @property
    def digest(self) -> str:
        """The SHA-256 of the rule's text: of its file, or of its class and those it is made of."""
        own = [one for one in self.rule.__mro__ if one.__module__.startswith("optim.rules.")]
        text = self.text or "".join(getsource(one) for one in own)
        return sha256(text.encode()).hexdigest()

    @cached_property
    def fast(self) -> bool:
        """Whether a run can be one compiled loop."""
        return plays_whole(self._built([np.zeros(1)], None)[0])

    @cached_property
    def traced(self) -> bool:
        """Whether a step is a function of each coordinate, which decimals can follow."""
        try:
            return bool(step_program(self._built([np.zeros(1)], None)[0]))
        except TypeError:
            return False

    @cached_property
    def apart(self) -> bool:
        """Whether the rule takes the coordinates of a tensor one by one, which is tried out."""
        if not self.rule.per_tensor:
            return True
        slopes, x1 = np.array([[3.0, -5.0], [-1.0, 0.5], [2.0, 4.0]] * 10), np.zeros(2)
        runs = [self._built(parts, None)[0].play(slopes) for parts in ([x1], x1[:, None])]
        return np.allclose(*runs, rtol=1e-9, atol=0)

    def at(self, alpha: float) -> "Hunted":
        """The same with another alpha."""
        return replace(self, alpha=alpha)

    def reach(self, steps: int) -> float:
        """The sum of alpha_t over so many steps, about."""
        return self.alpha * (2 * steps**0.5 if self.schedule == COMMON[0] else steps)

    def built(self, x1: np.ndarray, rms: Any = 1.0, boxed: bool = False) -> tuple[Any, Any]:
        """The rule's optimizer of a coordinate for each x1, on slopes of this root mean square, and
        the parameters.

        A rule that sees whole tensors gets a tensor for each.
        """
        return self._built([x1] if self.apart else x1[:, None], BOX if boxed else None, rms)

    def _built(self, parts: Any, projection: Any, rms: Any = 1.0) -> tuple[Any, Any]:
        tensors = [Tensor(part, requires_grad=True, dtype="float64") for part in parts]
        params = Parameters.of(tensors)
        alpha = self.alpha / rms if self.undivided else self.alpha
        lr = InverseSqrt(alpha) if self.schedule == COMMON[0] else alpha
        return self.rule(params, projection=projection, lr=lr, **self.settings), params

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.name}({settings})" if settings else self.name
