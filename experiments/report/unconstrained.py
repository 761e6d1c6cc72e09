"""Each rule on the finite sum of Zhang et al. 2022 (arXiv:2208.09632), which nothing constrains."""

from collections.abc import Mapping

import numpy as np

from experiments.loops.compared import hyperparameters, takes_betas
from experiments.problems.finite_sum import BEST, FiniteSum
from experiments.record.wording import listed
from minigrad import Tensor
from optim.named import NamedRule

NAME = "a sum of functions without constraints"
PROBLEM = FiniteSum(10)
STEPS, ALPHA, START = 5_000, 0.5, 1.0
BETAS = (0.0, 0.1), (0.9, 0.99)  # under the first Adam leaves for infinity; a rule's own are one
NEAR = 0.1

Ends = Mapping[str, tuple[float, float]]  # by rule, x after half of the steps and after all


def descents(rules: Mapping[str, NamedRule]) -> dict[str, Ends]:
    """By betas, where the rules end; NaN: a rule that overflows. Of the first rule's own betas, if
    it takes no others, there is one."""
    (first, *_), found = rules.values(), {}
    for betas in BETAS if takes_betas(first) else BETAS[1:]:
        own = "its own settings, with the others at "
        text = f"{'' if takes_betas(first) else own}beta = {betas}"
        found[text] = {label: _descent(rule, betas) for label, rule in rules.items()}
    return found


def _descent(rule: NamedRule, betas: tuple[float, float]) -> tuple[float, float]:
    slopes = PROBLEM.linear.slopes(1, PROBLEM.n + 1)[:, 0]
    x = Tensor(np.array([START]), requires_grad=True)
    opt, half = rule([x], **hyperparameters(rule, ALPHA, betas, PROBLEM.linear)), np.nan
    for t in range(STEPS):
        x.grad[...] = PROBLEM.gradient(slopes[t % PROBLEM.n], x.data)
        try:
            opt.step()
        except FloatingPointError:
            return half, np.nan
        if t + 1 == STEPS // 2:
            half = x.item()
    return half, x.item()


def status(half: float, last: float) -> str:
    """What x does, in a few words."""
    if not np.isfinite(last):
        return "overflows"
    if abs(last - BEST) < NEAR:
        return "is near the minimum"
    if last == half:
        return "stands still away from the minimum"
    return "goes away from the minimum" if abs(last - BEST) > abs(half - BEST) else "comes nearer"


def in_short(label: str, found: Mapping[str, Ends]) -> str:
    """A clause on the rule of that label, as `it`."""
    parts = [f"{status(*ends[label])} at {text}" for text, ends in found.items()]
    return f"on {NAME} it {listed(parts)}"


def sentences(label: str, found: Mapping[str, Ends]) -> list[str]:
    """What became of the rule of that label, and beside it of the others."""
    said = [
        f"{PROBLEM.n} functions in turn, whose sum is least at {BEST:g}; {STEPS:,} steps of "
        f"{ALPHA:g}/sqrt(t) from {START:g}. Zhang et al. 2022 have it as a problem on which Adam "
        "leaves for infinity where beta2 is small."
    ]
    for text, ends in found.items():
        half, last = ends[label]
        others = [f"{one} {end:+.3g}" for one, (_, end) in ends.items() if one != label]
        said.append(
            f"At {text}: x = {half:+.3g} after half of the steps, {last:+.3g} in the end; it "
            f"{status(half, last)}. Beside it: {listed(others)}."
        )
    return said
