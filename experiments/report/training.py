"""What was seen of a rule where classifiers were trained."""

from collections.abc import Mapping

import numpy as np

from experiments.paper.classification_report import at_edge, measured, ranking, rule_of
from experiments.record.wording import listed
from experiments.result import Result

CLOSE = 1.1  # times the best validation loss, within which a rate is about as good


def in_short(result: Result, label: str) -> str:
    """The best of the rule's test accuracies beside the best of all, in a clause."""
    final = measured(result.traces, "test_accuracy")
    best, ties = ranking(final, least=False)
    mine, _ = ranking({k: v for k, v in final.items() if rule_of(k) == label}, least=False)
    accuracy = f"a mean test accuracy of {final[mine].mean():.2%}"
    said = f"in {result.experiment.name} {mine} has {accuracy}"
    if best == mine:
        return f"{said}, the best of these, and {len(ties)} tie with it"
    tie = "with which it ties" if mine in ties else "apart by more than seeds make"
    return f"{said}, and {best} {final[best].mean():.2%}, {tie}"


def sentences(result: Result, label: str) -> list[str]:
    """Accuracies, how many rates serve, and who is ranked."""
    s, final = result.settings, measured(result.traces, "test_accuracy")
    mine = [one for one in result.traces if rule_of(one) == label]
    texts = [finding.text for finding in result.findings]
    said = [text for one in mine for text in texts if text.startswith(f"{one}: ")]
    best = {one: f"{accuracy.mean():.2%}" for one, accuracy in final.items() if one not in mine}
    said.append(f"Beside it: {listed(f'{one} {value}' for one, value in best.items())}.")
    wide = {one: tolerant(trace) for one, trace in result.traces.items()}
    rates = listed(f"{one} {n}" for one, n in wide.items())
    said.append(
        f"Rates, of {s.rates} that are half a decade apart, at which the validation loss is within "
        f"{CLOSE - 1:.0%} of the rule's best: {rates}."
    )
    if edges := [one for one in mine if at_edge(result.traces[one])]:
        said.append(f"The best rate of {listed(edges)} is at the edge of its grid.")
    return [*said, f"{result.verdict}."]


def tolerant(trace: Mapping[str, np.ndarray]) -> int:
    """At how many rates the validation loss is within CLOSE of the best."""
    losses = trace["validation_loss"].mean(axis=1)
    return int((losses <= CLOSE * losses.min()).sum())
