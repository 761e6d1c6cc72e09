"""Random settings of the lab's rules, as Python and as the page take them."""

import json
from dataclasses import fields
from typing import Any

import numpy as np

import optim
from experiments.page.printed import Lab
from experiments.problems.linear import Periodic
from minigrad import Tensor
from optim import Box, schedules

LAB = Lab()
EXACT = [name for name, rule in LAB.rules.items() if not rule["rounded"]]
INEXACT = [name for name, rule in LAB.rules.items() if rule["rounded"]]
OF_ALPHA = [n for n, one in LAB.schedules.items() if any(f["alpha"] for f in one["fields"])]
EXACT_SCHEDULES = [name for name in OF_ALPHA if not LAB.schedules[name]["rounded"]]
INEXACT_SCHEDULES = [name for name in OF_ALPHA if LAB.schedules[name]["rounded"]]
OF_LENGTH = ("steps", "every", "rise", "fall", "warm_up", "stable", "decay")

# Plays cases, and gives the last state of each as bytes in hex
DRIVE = """
const hex = numbers => Array.from(new Uint8Array(Float64Array.from(numbers).buffer),
  byte => byte.toString(16).padStart(2, "0")).join("");
const lastStates = cases => cases.map(({name, given, problem, steps}) => {
  const played = online(problem, [[name, given]], steps);
  while (played.advance());
  const [run] = played.runs, {g, ...arrays} = run.run.arrays, state = {...arrays};
  for (const [number, value] of Object.entries(run.run.numbers)) state[number] = [value];
  state.regret = [run.regret];
  const entries = Object.entries(state).map(([key, array]) => [key, hex(array)]);
  return {error: run.error, state: Object.fromEntries(entries)};
});
"""


def random_schedule(rng: np.random.Generator, name: str, largest: float) -> dict[str, Any]:
    """A schedule as the page writes it."""
    found: dict[str, Any] = {"schedule": name}
    for one in LAB.schedules[name]["fields"]:
        place = one["field"]
        field = place.rpartition(".")[2]  # of a schedule inside another
        if field in OF_LENGTH:
            found[place] = int(rng.integers(1, 5_000))
        elif field.startswith("milestones"):
            found[place] = int(rng.integers(1, 2_000)) + max(of_milestones(found), default=0)
        elif field == "exponent":
            found[place] = float(rng.uniform(-1, 0))
        elif field in ("rate", "factor", "shrink", "power"):
            found[place] = float(rng.uniform(0.5, 1))
        else:
            found[place] = float(rng.uniform(0.1, 1) * largest)
    return found


def of_milestones(given: dict[str, Any]) -> list[int]:
    return [value for place, value in given.items() if "milestones" in place]


def random_case(
    rng: np.random.Generator, rules: list[str], of_alpha: list[str], steps: int
) -> dict[str, Any]:
    """A rule with settings inside their ranges, and a problem."""
    name = str(rng.choice(rules))
    given: dict[str, Any] = {}
    for one in LAB.rules[name]["places"]:
        if one["place"] == "lr":
            given["lr"] = random_schedule(
                rng, str(rng.choice(of_alpha)), 10 ** rng.uniform(-5, -1.7)
            )
        elif isinstance(one["value"], dict) or rng.random() < 0.3:
            continue
        elif one["low"] == 0 and one["high"] == 1:
            given[one["place"]] = float(1 - 10 ** rng.uniform(-4, -0.1))
        elif one["place"] == "eps" and rng.random() < 0.5:
            given["eps"] = 0.0
        elif one["value"]:
            value = float(one["value"] * rng.uniform(0.7, 1.4))
            above = one["low"] is None or value > one["low"]
            below = one["high"] is None or value < one["high"]
            given[one["place"]] = value if above and below else one["value"]
    period = int(rng.integers(2, 200))
    problem = {
        "kind": "periodic",
        "large": float(rng.uniform(5, 2000)),
        "small": float(rng.uniform(0.5, 20)),
        "period": period,
        "spike": int(rng.integers(1, period + 1)),
        "x1": float(rng.uniform(-1, 1)),
    }
    return {"name": name, "given": given, "problem": problem, "steps": steps}


def setting(value: Any) -> Any:
    """A setting of the page as Python takes it."""
    if not isinstance(value, dict):
        return value
    inner: dict[str, Any] = {
        "WarmUp(InverseSqrt)": {"schedule": schedules.InverseSqrt},
        "WarmUp(Cosine)": {"schedule": schedules.Cosine},
        "Sequence(Constant, InverseSqrt)": {
            "schedules[0]": schedules.Constant,
            "schedules[1]": schedules.InverseSqrt,
        },
        "Sequence(Linear, Cosine)": {
            "schedules[0]": schedules.Linear,
            "schedules[1]": schedules.Cosine,
        },
        "Product(InverseSqrt, Cyclic)": {
            "first": schedules.InverseSqrt,
            "second": schedules.Cyclic,
        },
    }.get(value["schedule"], {})
    given = {place: x for place, x in value.items() if "." not in place}
    name = given.pop("schedule").partition("(")[0]
    for place, schedule in inner.items():
        given[place] = schedule(**{f.name: value[f"{place}.{f.name}"] for f in fields(schedule)})
    parts = sorted(place for place in given if "[" in place)
    for stem in {place.partition("[")[0] for place in parts}:
        given[stem] = tuple(given.pop(place) for place in parts if place.startswith(stem))
    return getattr(schedules, name)(**given)


def hyperparameters(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a rule from its settings by place."""
    found: dict[str, Any] = {}
    rule = optim.RULES[name.lower()]
    for keyword, default in rule.hyperparameters().items():
        if isinstance(default, tuple):
            parts = [given.get(f"{keyword}[{i}]", part) for i, part in enumerate(default)]
            found[keyword] = tuple(map(setting, parts))
        else:
            found[keyword] = setting(given.get(keyword, default))
    return found


def last_state(case: dict[str, Any]) -> dict[str, np.ndarray]:
    """What Python has after the case's steps."""
    problem = Periodic(*(case["problem"][key] for key in ("large", "small", "period", "spike")))
    x = Tensor(np.array([case["problem"]["x1"]]), requires_grad=True)
    settings = hyperparameters(case["name"], case["given"])
    opt = optim.RULES[case["name"].lower()]([x], projection=Box(-1, 1), **settings)
    slopes = problem.slopes(1, case["steps"] + 1).astype(float)
    played = opt.play(slopes)
    state = {"p": x.numpy(), **opt.state}
    if opt.diagonal is not None:
        state["metric"] = opt.metric()
    state["regret"] = np.cumsum(problem.regret(slopes, played))[-1:]
    return {key: np.atleast_1d(np.asarray(a, "float64")) for key, a in state.items()}


def numbers(state: dict[str, str]) -> dict[str, np.ndarray]:
    """A state of the page."""
    return {key: np.frombuffer(bytes.fromhex(text)) for key, text in state.items()}


def as_json(cases: list[dict[str, Any]]) -> str:
    return json.dumps(cases)
