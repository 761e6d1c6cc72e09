"""Rules by name, and the settings under which they are compared."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from experiments.record.settings import Settings
from experiments.record.wording import listed
from minigrad import Tensor
from optim import Optimizer, named
from optim.named import NamedRule
from optim.schedules import InverseSqrt, Power

# Rules that divide by the root of a sum of squares, which grows like sqrt(t), where others divide
# by that of a mean: a constant alpha is to them what alpha / sqrt(t) is to these
OF_SUMS = ("AdaGrad", "FTRL")
# Rules whose steps are as large as the gradients; AvaGrad's are where it has one coordinate
UNDIVIDED = ("SGD", "Momentum", "Nesterov", "SGDW", "QHM", "AggMo", "ASGD", "AvaGrad")


GROWN = 1e3  # by what gradients are multiplied to see whether steps are


@dataclass(frozen=True, kw_only=True)
class Compared(Settings):
    """Settings of an experiment that compares rules, named as optim.named says."""

    closures: ClassVar[bool] = False  # whether rules may ask for one

    rules: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        keep_files(self, self.rules)
        for label, one in self.compared.items():
            if one.rule.needs_closure and not self.closures:
                raise ValueError(f"rules: {label} asks for a closure, so it cannot be played.")

    def rule(self, name: str) -> NamedRule:
        """The rule of that name."""
        return named.named(name, self.files)

    @property
    def compared(self) -> dict[str, NamedRule]:
        """The rules by their labels."""
        return by_label(map(self.rule, self.rules))

    def check_varies(self, *names: str) -> None:
        """Raise ValueError for a rule that fixes, or has not, what the experiment varies."""
        for label, rule in self.compared.items():
            for name in names:
                if name in rule.fixed:
                    raise ValueError(
                        f"rules: {label} fixes {name}, which this experiment varies; leave it out."
                    )
                if name not in rule.hyperparameters():
                    raise ValueError(
                        f"rules: {label} has no {name}, which this experiment varies; leave the "
                        "rule out."
                    )

    def check_diagonal(self, what: str) -> None:
        """Raise ValueError for a rule that has no diagonal to divide by, and so no `what`."""
        for label, one in self.compared.items():
            if one.rule.diagonal is None:
                raise ValueError(f"rules: {label} has no diagonal, so no {what}; leave it out.")


def by_label(rules: Iterable[NamedRule]) -> dict[str, NamedRule]:
    """The rules by their labels; raises ValueError where two have the same."""
    found: dict[str, NamedRule] = {}
    for rule in rules:
        if found.setdefault(rule.label, rule) is not rule:
            raise ValueError(
                f"rules: {rule.label} is there twice; leave one out, or rename its class."
            )
    return found


def keep_files(s: Settings, names: Iterable[str]) -> None:
    """Put the texts of the files that these rules are from into the settings, which are frozen."""
    object.__setattr__(s, "files", named.read(names, s.files))


def undivided(rule: NamedRule) -> bool:
    """Whether a rule's steps are as large as the gradients; of one from a file it is tried out."""
    if rule.file is None:
        return rule.rule.__name__ in UNDIVIDED
    moves = []
    for slope in (1.0, GROWN):
        x = Tensor(np.zeros(1), requires_grad=True)
        try:
            rule([x]).play(np.full((3, 1), slope))
        except Exception:  # it is as the experiment will find it
            return False
        moves.append(x.item())
    return bool(moves[0] and np.isclose(moves[1], GROWN * moves[0]))


def of_sums(rule: NamedRule) -> bool:
    """Whether a rule divides by the root of a sum of squares."""
    return rule.rule.__name__ in OF_SUMS


def takes_each(rule: Callable[..., Optimizer]) -> bool:
    """Whether a rule takes coordinates one by one, so that they may be of runs of their own; one
    that asks for a closure does not, since a loss is that of one run."""
    return _separate(rule([Tensor(np.zeros(1), requires_grad=True)]))


def _separate(opt: Optimizer) -> bool:
    return not (opt.writes_state or opt.per_tensor or opt.needs_closure)


def check_separate(opt: Optimizer) -> None:
    """Raise ValueError for a rule that does not take coordinates one by one: they are of runs that
    have nothing to do with each other."""
    if not _separate(opt):
        raise ValueError(
            f"rules: {type(opt).__name__} looks at all coordinates at once, but here they are of "
            "runs of their own; leave it out."
        )


def takes_betas(rule: NamedRule) -> bool:
    """Whether a rule has two betas, as Adam has, and its name leaves them open."""
    return len(_betas(rule)) == 2 and "betas" not in rule.fixed


def hyperparameters(
    rule: NamedRule, alpha: float, betas: Any, problem: Any, exponent: Any = -0.5
) -> dict[str, Any]:
    """The settings under which a rule is compared with Adam at alpha t^exponent and these betas.

    Its other hyperparameters are as declared, and so is a beta that is declared as a schedule; what
    its name fixes stays fixed, whatever these are. For rules that do not divide by the size of the
    gradients, alpha is divided by their root mean square.
    """
    if undivided(rule):
        alpha = alpha / problem.rms
    if of_sums(rule):
        exponent = exponent + 0.5
    declared, settings = rule.hyperparameters(), {}
    if "lr" in declared:
        if np.ndim(exponent) or exponent not in (0, -0.5):
            settings["lr"] = Power(alpha, exponent)
        else:
            settings["lr"] = InverseSqrt(alpha) if exponent else alpha
    return settings | given_betas(rule, betas)


def given_betas(rule: NamedRule, betas: Any) -> dict[str, Any]:
    """The betas as settings of a rule that has two, but for one that it declares as a schedule."""
    if not takes_betas(rule):
        return {}
    pairs = zip(_betas(rule), betas, strict=True)
    return {"betas": tuple(own if callable(own) else given for own, given in pairs)}


def exceptions(s: Compared) -> str:
    """What `hyperparameters` does otherwise for some of these rules, in sentences for a caption."""

    def those(test: Any) -> str:
        labels = [label for label, rule in s.compared.items() if test(rule)]
        return listed(labels) if labels else ""

    said = []
    if found := those(undivided):
        said.append(f"For {found} alpha is over the root mean square of the slopes.")
    if found := those(of_sums):
        said.append(f"{found} over the root of a sum of squares: at sqrt(t) times that alpha.")
    if found := those(lambda rule: any(map(callable, _betas(rule)))):
        said.append(f"{found} with a beta of its own that changes with t.")
    return "".join(f" {sentence}" for sentence in said) + of_names(s)


def of_names(s: Compared) -> str:
    """What the names of rules fix, and which are from a file, in sentences for a caption."""
    said = []
    if fixed := [label for label, rule in s.compared.items() if rule.fixed]:
        said.append(f"What the names of {listed(fixed)} fix is so throughout.")
    said += [f"{label} is from {rule.file}." for label, rule in s.compared.items() if rule.file]
    return "".join(f" {sentence}" for sentence in said)


def _betas(rule: NamedRule) -> tuple[Any, ...]:
    betas = rule.hyperparameters().get("betas", ())
    return betas if isinstance(betas, tuple) else (betas,)
