"""Rules by name, and the settings under which they are compared."""

from collections.abc import Iterable
from typing import Any

import numpy as np

import optim
from experiments.record.wording import listed
from minigrad.errors import nearest
from optim import Optimizer
from optim.schedules import InverseSqrt, Power

# Rules that divide by the root of a sum of squares, which grows like sqrt(t), where others divide
# by that of a mean: a constant alpha is to them what alpha / sqrt(t) is to these
OF_SUMS = ("AdaGrad", "FTRL")
# Rules whose steps are as large as the gradients; AvaGrad's are where it has one coordinate
UNDIVIDED = ("SGD", "Momentum", "Nesterov", "SGDW", "QHM", "AggMo", "ASGD", "AvaGrad")


def rule_named(name: str) -> Any:
    """The rule of that name; raises ValueError, with the nearest, for no name."""
    if name.lower() not in optim.RULES:
        raise ValueError(f"rules: {name!r} is unknown; {nearest(name, optim.RULES)}")
    return optim.RULES[name.lower()]


def check_rules(names: Iterable[str]) -> None:
    """Raise ValueError for a name of no rule, and for a rule that asks for a closure."""
    for name in names:
        if rule_named(name).needs_closure:
            raise ValueError(f"rules: {name} asks for a closure, which is not given here.")


def check_separate(opt: Optimizer) -> None:
    """Raise ValueError for a rule that does not take coordinates one by one: they are of runs that
    have nothing to do with each other."""
    if opt.writes_state or opt.per_tensor:
        raise ValueError(
            f"rules: {type(opt).__name__} looks at all coordinates at once, but here they are of "
            "runs of their own; leave it out."
        )


def hyperparameters(
    rule: Any, alpha: float, betas: Any, problem: Any, exponent: Any = -0.5
) -> dict[str, Any]:
    """The settings under which a rule is compared with Adam at alpha t^exponent and these betas.

    Its other hyperparameters are as declared, and so is a beta that is declared as a schedule. For
    rules that do not divide by the size of the gradients, alpha is divided by their root mean
    square.
    """
    if rule.__name__ in UNDIVIDED:
        alpha = alpha / problem.rms
    if rule.__name__ in OF_SUMS:
        exponent = exponent + 0.5
    if np.ndim(exponent) or exponent not in (0, -0.5):
        settings = {"lr": Power(alpha, exponent)}
    else:
        settings = {"lr": InverseSqrt(alpha) if exponent else alpha}
    declared = rule.hyperparameters()
    if "betas" in declared and len(declared["betas"]) == 2:
        pairs = zip(declared["betas"], betas, strict=True)
        settings["betas"] = tuple(own if callable(own) else given for own, given in pairs)
    return settings


def exceptions(labels: Iterable[str]) -> str:
    """What `hyperparameters` does otherwise for some of these rules, in sentences for a caption."""
    labels, said = list(labels), []
    if those := [label for label in labels if label in UNDIVIDED]:
        said.append(f"For {listed(those)} alpha is over the root mean square of the slopes.")
    if those := [label for label in labels if label in OF_SUMS]:
        said.append(f"{listed(those)} over the root of a sum of squares: at a constant alpha.")
    own = {label: rule_named(label).hyperparameters().get("betas", ()) for label in labels}
    if those := [label for label, betas in own.items() if any(map(callable, betas))]:
        said.append(f"{listed(those)} with a beta of its own that changes with t.")
    return "".join(f" {sentence}" for sentence in said)
