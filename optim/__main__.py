"""python -m optim: the table of rules, as the README has it."""

from optim import RULES
from optim.optimizer import Optimizer


def table() -> str:
    """Every rule of this package: what it does and its source, its state, its defaults."""
    rows = [
        "| rule | what it does | state | hyperparameters |",
        "|---|---|---|---|",
    ]
    for rule in RULES.values():
        if rule.__module__.startswith("optim."):
            rows.append(f"| {' | '.join(_cells(rule))} |")
    return "\n".join(rows)


def _cells(rule: type[Optimizer]) -> tuple[str, str, str, str]:
    summary = " ".join((rule.__doc__ or "").split("\n\n")[0].split())
    settings = ", ".join(f"{name}={default}" for name, default in rule.hyperparameters().items())
    return f"`{rule.__name__}`", summary, ", ".join(rule.state_names()) or "none", f"`{settings}`"


if __name__ == "__main__":
    print(table())
