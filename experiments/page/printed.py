"""What the lab computes with: JavaScript that is printed from traces, and what describes it."""

from collections.abc import Iterable
from json import dumps
from typing import Any

import numpy as np

from experiments.claims import landscapes
from experiments.loops.compared import by_label
from experiments.loops.ending import KEPT, NEAR
from experiments.page import schedules as offered
from experiments.page.settings import Described, of_the_lab, places
from experiments.problems import drift, linear
from experiments.problems.functions import LANDSCAPES
from minigrad import Tensor
from optim import RULES, Box, Optimizer
from optim.engine import javascript
from optim.engine.expression import gradient, traced
from optim.engine.formula import of_expression
from optim.engine.functions import ROUNDED_ANYHOW
from optim.engine.whole import step_program
from optim.named import NamedRule

P0, LR = 0.7305, 0.0417  # numbers that no rule starts its state with, by which p and lr are known
PROBLEMS = {  # functions, each with the arguments that stay as they are, and those that change
    linear.periodic_slope: (("large", "small", "period", "spike"), ("t",)),
    linear.drawn_slope: (("large", "small", "probability"), ("draw",)),
    linear.mean_slope: (("large", "small", "probability"), ()),
    linear.regret: ((), ("slope", "x")),
    drift.root: (("beta2", "rho", "large", "small", "period"), ("age",)),
    drift.move: (("beta1", "beta2", "rho", "large", "small", "period"), ("age",)),
}
RHO = {**KEPT, "LeakyAMSGrad": "rho"}  # of the drift's closed form, or the setting that it is


class Lab:
    """The rules, schedules and landscapes that have JavaScript, as text and as a description."""

    def __init__(self, given: Iterable[NamedRule] = ()):
        self.given = by_label(given)
        for label, one in self.given.items():
            if one.fixed:
                raise ValueError(f"rules: {label} fixes what the page lets change; name it alone.")
        ours = [rule for rule in RULES.values() if rule.__module__.startswith("optim.")]
        own = [one.rule for one in self.given.values() if one.file]
        self.every = [*ours, *own]  # also those that have none
        self.texts: dict[str, dict[str, str]] = {"rules": {}, "schedules": {}, "landscapes": {}}
        self.rules: dict[str, Described] = {}
        self.schedules: dict[str, Described] = {}
        self.settings = of_the_lab()
        for rule in self.every:
            self._add_rule(rule)
        for schedule in offered.OFFERED:
            self._add_schedule(schedule)
        self.landscapes = {name: self._landscape(name) for name in LANDSCAPES}
        self.texts["functions"] = {
            function.__name__: javascript.function(
                traced(function.__name__, _by_name(function, order), order), before or None
            )
            for function, (before, after) in PROBLEMS.items()
            for order in [[*after, *before]]
        }

    @property
    def javascript(self) -> str:
        """The definition of PRINTED."""
        groups = []
        for group, texts in self.texts.items():
            lines = ",\n".join(f"{dumps(name)}: {text}" for name, text in texts.items())
            groups.append(f"{group}: {{\n{lines}\n}}")
        every = ",\n".join(groups)
        return f"{javascript.FUNCTIONS}\nconst PRINTED = {{\n{every}\n}};"

    @property
    def data(self) -> Described:
        """What DATA is, which the page reads."""
        return {
            "rules": self.rules,
            "schedules": self.schedules,
            "landscapes": self.landscapes,
            "settings": self.settings,
            "near": NEAR,
            "plane": ["landscape", "plane_rules", "from_x", "from_y", "path_steps"],
            "defaults": {
                **{key: one["value"] for key, one in self.settings.items() if key != "rate"},
                **{"kind": "periodic", "schedule": "InverseSqrt", "landscape": "rosenbrock"},
                **{"rules": self._at_first("Adam", "AMSGrad")},
                **{"plane_rules": self._at_first(*landscapes.EXPERIMENT.settings.names)},
                "focus": "Adam",
            },
        }

    def _at_first(self, *names: str) -> str:
        """The rules that are shown until others are chosen: these, and some of those given."""
        given = [name for name in self.given if name in self.rules and name not in names]
        return ",".join([*names, *given[: 6 - len(names)]])

    def rounded(self, group: str) -> list[str]:
        """The names of those whose functions browsers round in their own ways."""
        return [name for name, one in getattr(self, group).items() if one["rounded"]]

    def _add_rule(self, rule: type[Optimizer]) -> None:
        """Add a rule whose step is a function of each coordinate and its gradient."""
        if rule.needs_closure:
            return
        try:
            program = step_program(_one(rule), metric=rule.diagonal is not None)
        except TypeError:
            return
        name, state = rule.__name__, _one(rule).state
        numbers = {n: float(a) for n, a in state.items() if not a.ndim}
        known = {P0: "p", LR: "lr"}
        functions = program.functions | {entry.function for entry in program.hoisted}
        self.texts["rules"][name] = javascript.step(program)
        self.rules[name] = {
            "places": places(rule),
            "arrays": {n: known.get(a.item(), a.item()) for n, a in state.items() if a.ndim},
            "numbers": numbers,
            "metric": rule.diagonal is not None,
            "no_eps": _no_eps(rule),
            "rounded": sorted(functions & ROUNDED_ANYHOW),
            "rho": RHO.get(name),
            "rate": 1e-3 if rule.__module__.endswith(".descent") else 0.05,  # on landscapes
        }

    def _add_schedule(self, schedule: Any) -> None:
        name = offered.name(schedule)
        self.texts["schedules"][name] = offered.text(schedule)
        self.schedules[name] = offered.description(schedule)
        self.settings |= offered.settings(schedule)

    def _landscape(self, name: str) -> Described:
        landscape = LANDSCAPES[name]
        value = traced(name, landscape.function, ["x", "y", *landscape.others])
        slopes = gradient(name, landscape.function, ["x", "y"], landscape.others)
        value_text, slopes_text = javascript.function(value), javascript.function(slopes)
        self.texts["landscapes"][name] = f"{{value: {value_text},\ngradient: {slopes_text}}}"
        return {
            "title": landscape.name,
            "formula": of_expression(value),
            "window": landscape.window,
            "minima": landscape.minima,
            "start": landscape.start,
            "noise": landscape.noise,
        }


def _by_name(function: Any, order: list[str]) -> Any:
    return lambda *values: function(**dict(zip(order, values, strict=True)))


def _one(rule: type[Optimizer]) -> Any:
    """The rule on one coordinate, in a box."""
    return rule([Tensor(np.array([P0]), requires_grad=True)], lr=LR, projection=Box(-1, 1))


def _no_eps(rule: Any) -> float | None:
    """What stands for an eps of 0."""
    if "eps" not in rule.hyperparameters():
        return None
    opt = rule([Tensor(np.array([P0]), requires_grad=True)], eps=0)
    return float(opt._prepared().constant["eps"])
