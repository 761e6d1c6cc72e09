"""The tables of a tournament: in scores.csv a line for each rule, from the highest score, and in
steps.csv one for each problem, rule and seed, at the rate that the rule is judged by."""

from typing import Any

from experiments.tournament.standing import Standing

SCORES = "place", "rule", "score", "low", "high", "tie", "reached", "failed", "at_edge"
STEPS = "problem", "target", "rule", "rate", "seed", "steps"  # inf: never


def tables(standing: Standing) -> dict[str, list[Any]]:
    """By name, lines under their headings."""
    low, high = standing.interval
    of_rules = [
        [
            *(place, rule, standing.score[k], low[k], high[k]),
            "first" if place == 1 else "tie" if standing.tied[k] else "",
            standing.reached[k],
            sum(standing.failed(rule).values()),
            " ".join(standing.at_edge(rule)),
        ]
        for place, k in enumerate(standing.order, 1)
        for rule in [standing.rules[k]]
    ]
    s = standing.settings
    of_runs = [
        [name, level, rule, standing.played[rule][name].rate, s.seed + seed, steps]
        for problem, (name, level) in enumerate(standing.targets.items())
        for k, rule in enumerate(standing.rules)
        for seed, steps in enumerate(standing.steps[k, problem])
    ]
    return {"scores": [SCORES, *of_rules], "steps": [STEPS, *of_runs]}
