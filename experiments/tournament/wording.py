"""What problems are called, and what a caption says of the rules that ask for more than a
gradient."""

from experiments.loops.compared import Compared
from experiments.record.wording import listed


def titled(problem: str) -> str:
    """The name of a problem in text."""
    return problem.upper() if problem in ("mlp", "cifarnet") else problem.replace("_", " ")


def of_closures(s: Compared) -> str:
    """How rules that ask for a closure take part, in sentences."""
    asking = {label: one for label, one in s.compared.items() if one.rule.needs_closure}
    if not asking:
        return ""
    verb = "is" if len(asking) == 1 else "are"
    said = f" {listed(asking)} {verb} given the loss too, by a closure; where a step takes several "
    said += "gradients, each counts as a step."
    told = [
        label
        for label, one in asking.items()
        if "f_min" in one.hyperparameters() and "f_min" not in one.fixed
    ]
    if told:
        verb = "is" if len(told) == 1 else "are"
        said += f" {listed(told)} {verb} told the least that the loss can be, 0 for networks."
    return said
