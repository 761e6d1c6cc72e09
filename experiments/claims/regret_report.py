"""What the experiment on regret shows: its figure, its verdict, its caption and its findings."""

import numpy as np

from experiments.claims.bounds import BOUNDS
from experiments.experiment import Finding
from experiments.loops.compared import exceptions
from experiments.loops.ending import KEPT
from experiments.record.curves import fitted_power, looks
from experiments.record.figure import Sheet
from experiments.record.wording import counted, listed, number

LINEAR, CURVED, PERIODIC = "random linear", "random curved", "periodic"
LATE = 100  # exponents are read from T = steps / LATE on


def by_kind(traces):
    """By kind of problem and rule: the trace."""
    found: dict[str, dict] = {LINEAR: {}, CURVED: {}, PERIODIC: {}}
    for label, trace in traces.items():
        kind = next(kind for kind in found if label.startswith(f"{kind} "))
        found[kind][label.removeprefix(f"{kind} ")] = trace
    return found


def bound(kind, rule, trace, s):
    """What the rule's theorem says that R_t is at most, (times, runs)."""
    return BOUNDS[rule](trace, s.lr, s.periodic_betas if kind == PERIODIC else s.betas)


def exponent(trace, s):
    """The p of R_T = c T^p that fits best, in logarithms, from T = steps / LATE on; NaN where the
    mean regret is not positive."""
    mean, late = trace["regret"].mean(axis=1), trace["t"] >= s.steps / LATE
    if mean[late].min() <= 0:
        return np.nan
    return fitted_power(trace["t"][late], mean[late])


def above(kind, rule, trace, s):
    """The largest R_t / bound, over times and runs."""
    return float((trace["regret"] / bound(kind, rule, trace, s)).max())


def passes(kind, trace, of_amsgrad, s):
    """The first recorded t from which on the regret is above what AMSGrad's run promises; None."""
    over = trace["regret"].mean(axis=1) > bound(kind, "AMSGrad", of_amsgrad, s).mean(axis=1)
    if not over[-1]:
        return None
    return int(trace["t"][np.flatnonzero(~over)[-1] + 1 if not over.all() else 0])


def grown(powers):
    """How regrets grow, of these exponents."""
    ends = [f"T^{end(powers):z.2f}" for end in (min, max)]
    return f"{'grows' if min(powers) > 0 else 'goes'} as {' to '.join(dict.fromkeys(ends))}"


def verdict(traces, s):
    kinds = by_kind(traces)
    rules = list(kinds[PERIODIC])
    proved, free = ([r for r in rules if (r in BOUNDS) == has] for has in (True, False))
    parts = []
    if proved:
        powers = [exponent(kinds[kind][rule], s) for kind in kinds for rule in proved]
        worst = max(above(kind, rule, kinds[kind][rule], s) for kind in kinds for rule in proved)
        held = "never above" if worst <= 1 else f"up to {worst:.2g} times"
        grows = f"{grown(p)}, " if (p := [p for p in powers if np.isfinite(p)]) else "is "
        parts.append(f"With a theorem the regret {grows}{held} its bound")
    for rule in free:
        trace = kinds[PERIODIC][rule]
        p = exponent(trace, s)
        text = f"{rule}'s {grown([p]) if np.isfinite(p) else 'is at times below 0'}"
        text += " on the periodic problem"
        if "AMSGrad" in kinds[PERIODIC]:
            t = passes(PERIODIC, trace, kinds[PERIODIC]["AMSGrad"], s)
            text += f", above AMSGrad's bound from T = {t:,} on" if t else ""
        parts.append(text)
    return "; ".join(parts)


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        r"$R_T = \Sigma_{t \leq T}\, f_t(x_t) - \mathrm{min}_x \Sigma_{t \leq T}\, f_t(x)$;   "
        r"1: $f_t(x) = \Sigma_i\, \pm s_i x_i$;   2: $f_t(x) = \Sigma_i\, s_i ("
        rf"{s.curvature / 2:g} x_i^2 \pm x_i)$;   3: " + s.problem.mathtext,
        rf"$\alpha_t = {s.lr:g}/\sqrt{{t}}$, $x_1 = {s.start:g}$, $T = {number(s.times[-1])}$.  "
        rf"1, 2: on $[-1, 1]^{{{s.dimensions}}}$, {counted(s.seeds, 'seed')}, "
        rf"$\beta = ({s.betas[0]:g}/t, {s.betas[1]:g})$;  "
        rf"3: $\beta = (0, 1/(1 + C^2))$, as in Theorem 1",
        rows=1,
        columns=3,
        size=(4.9, 4.2),
    )
    titles = {
        LINEAR: "1. random and linear: all players expect the same",
        CURVED: "2. random and curved",
        PERIODIC: "3. periodic, made for Adam to fail",
    }
    for column, (kind, found) in enumerate(by_kind(traces).items()):
        panel = sheet.panel(0, column, titles[kind], "$T$", "$R_T$" if column == 0 else "")
        styles = looks(found)
        for rule, trace in found.items():
            regret = trace["regret"]
            mean = np.where(regret.mean(axis=1) > 0, regret.mean(axis=1), np.nan)
            end = "" if kind == LINEAR else rule  # there they lie over each other
            panel.line(rule, trace["t"], mean, end=end, **styles[rule])
        for rule, trace in found.items():
            if rule in BOUNDS:
                most = bound(kind, rule, trace, s).mean(axis=1)
                look = {"color": styles[rule]["color"], "linestyle": ":", "linewidth": 1}
                look |= {"marker": styles[rule]["marker"], "markerfacecolor": "none"}
                panel.line(f"bound of {rule}", trace["t"], most, **look, markersize=3)
        if kind == LINEAR:
            t = s.times[s.times >= 30]
            look = {"color": "black", "linewidth": 0.8, "linestyle": (0, (6, 3))}
            look["end"] = "what every player\nexpects"
            panel.line("what every player expects", t, s.signs.expected(t), **look)
        panel.axes.set(xscale="log", yscale="log")
        panel.axes.minorticks_off()
    return sheet


def caption(traces, s):
    low, high = (f"{s.signs.scales[end]:g}" for end in (0, -1))
    scales = f"from {low} to {high}" if high != low else f"of {low}"
    return (
        "The regret R_T against the best point in hindsight, on logarithmic axes, under "
        f"{listed(by_kind(traces)[PERIODIC])} at alpha_t = {s.lr:g}/sqrt(t) from x_1 = "
        f"{s.start:g}, and dotted, with open markers, what theorems say that it is at most, from "
        f"each run's own numbers. 1: slopes +-s_i by the toss of a coin, in "
        f"{counted(s.dimensions, 'coordinate')} of [-1, 1], with scales s_i {scales}; the "
        f"mean of {counted(s.seeds, 'seed')}; dashed, what every player expects, sqrt(2T/pi) times "
        f"the sum of the scales. 2: the same plus s_i {s.curvature / 2:g} x_i^2. beta1_t = "
        f"{s.betas[0]:g}/t, as the theorems need, beta2 = {s.betas[1]:g}. 3: f_t(x) = {s.problem}, "
        f"beta1 = 0, beta2 = 1/(1 + C^2), as in Theorem 1.{exceptions(s)} "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for kind, of_kind in by_kind(traces).items():
        for rule, trace in of_kind.items():
            last, p = float(trace["regret"][-1].mean()), exponent(trace, s)
            numbers, stated = {"R_T": last}, {}
            text = f"{kind} {rule}: R_T = {last:,.4g} after T = {s.times[-1]:,} steps"
            if np.isfinite(p):
                numbers["exponent"] = p
                text += f", which {grown([p])} over the last hundredfold"
            if rule in BOUNDS:
                stated["exponent"] = 0.5
                numbers["most of bound"] = most = above(kind, rule, trace, s)
                text += f", at most {most:.2g} of its bound"
            if kind == PERIODIC:
                average, worst = last / s.times[-1], 2 * s.problem.mean
                numbers["R_T/T"] = average
                text += f"; R_T/T = {average:.4f}"
                if rule not in BOUNDS:
                    text += f" (at x = +1 always: {worst:.4f})"
                if KEPT.get(rule) == 0:  # Adam, which Theorem 1 is about
                    stated |= {"exponent": 1.0, "R_T/T": worst}
            stated = {name: value for name, value in stated.items() if name in numbers}
            found.append(Finding(f"{text}.", numbers, stated))
    told = float(s.signs.expected(s.times[-1]))
    each = np.mean([t["regret"][-1] for t in by_kind(traces)[LINEAR].values()], axis=0)  # by seed
    text = (
        f"{LINEAR}: every player expects R_T = {told:,.4g}; the mean over these is "
        f"{each.mean():,.4g}"
    )
    if s.seeds > 1:
        text += f", with a standard error of {each.std(ddof=1) / np.sqrt(s.seeds):,.2g}"
    found.append(Finding(f"{text}.", {"R_T": float(each.mean())}, {"R_T": told}))
    return found
