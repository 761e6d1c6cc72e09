"""What is drawn and said of rates tuned and optimizers compared on images."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.experiment import Finding
from experiments.loops.compared import of_names
from experiments.record.curves import looks
from experiments.record.directory import Traces
from experiments.record.figure import Sheet
from experiments.record.wording import counted, listed

HIGHEST_LOSS = 3.0  # that is plotted of the validation losses; guessing has log(10) = 2.3
# What is measured in the end, its name, and whether less is better
SHOWN = {
    "train_loss": ("training loss", True),
    "test_loss": ("test loss", True),
    "test_accuracy": ("test accuracy", False),
}
KEYS = {"chosen": "o", "at the edge": "s", "diverged": "x"}  # markers


def measured(traces: Traces, name: str) -> dict[str, np.ndarray]:
    """What each optimizer's final trainings had in the end, one value for each seed."""
    return {label: trace[name][:, -1] for label, trace in traces.items()}


def ranking(values: Mapping[str, np.ndarray], least: bool) -> tuple[str, list[str]]:
    """The optimizer of the best mean, and those whose range over seeds meets its range."""
    sign = 1 if least else -1
    best = min(values, key=lambda label: sign * values[label].mean())
    low, high = values[best].min(), values[best].max()
    ties = [k for k, x in values.items() if k != best and x.min() <= high and x.max() >= low]
    return best, ties


def verdict(traces: Traces, s: Any) -> str:
    """Who is best in test accuracy, and who ties; or why that is not known."""
    if why_not := unranked(traces, s):
        return why_not
    final = measured(traces, "test_accuracy")
    best, ties = ranking(final, least=False)
    text = f"{best} has the best mean test accuracy, {final[best].mean():.2%}"
    if s.seeds == 1:
        return f"{text}; one seed cannot tell whether others tie"
    if len(ties) == len(final) - 1:
        return f"{text}, but all others tie with it over {counted(s.seeds, 'seed')}"
    verb = "tie" if len(ties) > 1 else "ties"
    return f"{text}; {listed(ties) if ties else 'none'} {verb} with it"


def unranked(traces: Traces, s: Any) -> str:
    """One sentence where some grid was too narrow for a comparison, or the run a quick one."""
    untuned = [label for label, trace in traces.items() if at_edge(trace)]
    if not untuned:
        return "No ranking: a quick run tries few rates, seeds and epochs" if s.quick else ""
    return (
        f"No ranking: the best rate of {listed(untuned)} is at the edge of the grid, so that a "
        "better one may lie beyond"
    )


def rule_of(label: str) -> str:
    """The label of the rule alone."""
    return label.partition(" beta2=")[0]


def styled(traces: Traces) -> dict[str, dict[str, Any]]:
    """The style of each optimizer: of its rule, dashed and hollow for the larger beta2."""
    rules = looks(dict.fromkeys(map(rule_of, traces)))
    hollow = {"linestyle": "--", "markerfacecolor": "none"}
    return {
        label: rules[rule_of(label)]
        | {"markevery": 0.2}
        | (hollow if label.endswith("0.999") else {})
        for label in traces
    }


def draw(traces: Traces, s: Any, title: str, note: str = "") -> Sheet:
    """Losses and accuracy of the best rates, in time and at the end, and how the rate mattered."""
    sheet = Sheet(
        verdict(traces, s),
        f"{title}, on {s.images}",
        f"batch {s.batch}, {counted(s.epochs, 'epoch')}; each optimizer at the best of "
        f"{counted(s.rates, 'rate')}, tried with {counted(s.tuning_seeds, 'seed')} on a validation "
        f"split; mean and range of {counted(s.seeds, 'seed')}",
        rows=2,
        columns=3,
        size=(4.7, 3.2),
    )
    sheet.remark(note)
    styles = styled(traces)
    for column, (name, (text, least)) in enumerate(SHOWN.items()):
        final = measured(traces, name)
        best, ties = ranking(final, least)
        known = s.seeds > 1 and not unranked(traces, s)
        notes = {best: "best"} | dict.fromkeys(ties, "tie") if known else {}
        ends = sheet.panel(1, column, f"{text} in the end", text, "")
        ends.ranges(final, styles, notes)
        ends.axes.set_yticklabels(map(short, final))
        if column:
            ends.axes.tick_params(labelleft=False)
        if least:
            panel = sheet.panel(0, column, text, "epoch", "cross-entropy")
            for label, trace in traces.items():
                values = trace[name]
                ranges = values.min(0), values.max(0)
                style = styles[label] | {"end": short(label)}
                panel.line(label, range(values.shape[1]), values.mean(0), *ranges, **style)
            # the loss before training would dwarf the rest
            top = 1.2 * max(trace[name][:, 1].max() for trace in traces.values())
            panel.axes.set(yscale="log", ylim=(None, top))
    sensitivity(sheet, traces, styles)
    return sheet


def short(label: str) -> str:
    """The label as it stands beside curves."""
    return label.replace(" beta2=0", " ")


def sensitivity(sheet: Sheet, traces: Traces, styles: Mapping[str, Any]) -> None:
    """The panel of the validation loss against the rate."""
    panel = sheet.panel(0, 2, "sensitivity to the rate", "rate", "validation loss")
    for label, trace in traces.items():
        losses = trace["validation_loss"]
        ran = np.isfinite(losses).all(axis=1)
        kept, losses = trace["rates"][ran], losses[ran]
        style = styles[label] | {"markersize": 2.5, "markevery": 1, "end": short(label)}
        panel.line(label, kept, losses.mean(1), losses.min(1), losses.max(1), **style)
        ring = {"markeredgecolor": style["color"], "markerfacecolor": "none", "markersize": 8}
        marker = KEYS["at the edge"] if at_edge(trace) else KEYS["chosen"]
        at = [trace["best_rate"]], [losses.mean(1).min()]
        panel.points(f"{label}, chosen", *at, marker=marker, **ring)
        diverged = trace["rates"][~ran]
        top = np.full(len(diverged), 0.9 * HIGHEST_LOSS)
        crosses = {"marker": KEYS["diverged"], "color": style["color"]}
        panel.points(f"{label}, diverged", diverged, top, **crosses)
    least = min(np.nanmin(trace["validation_loss"]) for trace in traces.values())
    panel.axes.set(xscale="log", yscale="log", ylim=(least * 0.8, HIGHEST_LOSS))
    panel.keys(KEYS)


def caption(traces: Traces, s: Any, title: str) -> str:
    """What the figure shows."""
    seeds, few = counted(s.seeds, "seed"), counted(s.tuning_seeds, "seed")
    return (
        f"{title[0].upper()}{title[1:]}, on {s.images}, batch {s.batch}, "
        f"{counted(s.epochs, 'epoch')}. Every optimizer has a grid of {counted(s.rates, 'rate')}, "
        f"half a decade apart, each tried with {few} and judged by the mean loss on a validation "
        f"split; the best is run with {seeds}. Top: the training loss and the test loss by epoch, "
        "the mean over seeds and the band of their range; the validation loss for each rate, with "
        "a circle at the one chosen, a square where that is the edge of the grid, and a cross "
        "where a rate diverged. Bottom: training loss, test loss and test accuracy in the end, the "
        "mean as a marker and the range as a line; two optimizers tie where their ranges overlap. "
        f"beta2 = 0.999 is dashed and hollow.{of_names(s)} "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces: Traces, s: Any) -> list[Finding]:
    """One for each optimizer."""
    found = []
    for label, trace in traces.items():
        accuracy, rate = trace["test_accuracy"][:, -1], float(trace["best_rate"])
        losses = {name: float(trace[name][:, -1].mean()) for name in ("train_loss", "test_loss")}
        edge = ", the edge of its grid" if at_edge(trace) else ""
        found.append(
            Finding(
                f"{label}: test accuracy {accuracy.mean():.2%} ({accuracy.min():.2%} to "
                f"{accuracy.max():.2%}) on {s.images}, training loss {losses['train_loss']:.4f}, "
                f"at rate {rate:.3g}{edge}.",
                {"test accuracy": float(accuracy.mean()), "rate": rate}
                | {name.replace("_", " "): loss for name, loss in losses.items()},
            )
        )
    return found


def at_edge(trace: Mapping[str, np.ndarray]) -> bool:
    """Whether the best rate is the first or last of its grid, so that a better may lie beyond."""
    return float(trace["best_rate"]) in trace["rates"][[0, -1]]
