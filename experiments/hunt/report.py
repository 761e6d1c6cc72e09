"""What a hunt has found, in lines of text."""

from typing import Any

from experiments.hunt import verdicts
from experiments.hunt.exactly import DIGITS, PERIODS
from experiments.hunt.regrets import PERIODS as RUN
from experiments.hunt.search import Hunt
from experiments.hunt.verdicts import Finding


def lines(hunt: Hunt) -> list[str]:
    """The rule, every finding with its numbers, and what was tried."""
    hunted = hunt.hunted
    text = [f"{hunted}, alpha_t = {hunted.schedule} ({hunted.source})"]
    for finding in hunt.findings:
        text.append(f"  {sentence(finding)}")
        text += [f"    {line}" for line in evidence(finding.numbers, finding.alpha)]
    if not hunt.findings:
        text.append(f"  {verdicts.NOTHING}")
    text += [f"  {line}" for line in tried(hunt.tried)]
    return text


def sentence(finding: Finding) -> str:
    """The verdict and the problem in one line."""
    numbers = finding.numbers
    match finding.verdict:
        case verdicts.UNTIL:
            return f"climbs until t* = {numbers['t*']:,} on f_t(x) = {finding.problem}"
        case verdicts.FROM:
            return f"climbs from t* = {numbers['t*']:,} on, on f_t(x) = {finding.problem}"
        case verdicts.DIVERGES:
            return f"leaves every bound on the {finding.problem}, without projection"
    return f"{finding.verdict} on f_t(x) = {finding.problem}"


def evidence(n: dict[str, Any], alpha: float) -> list[str]:
    """What a finding rests on."""
    text = []
    if found := n.get("drift"):
        values = list(found.values())
        same = max(values) - min(values) <= 1e-6 * max(map(abs, values))
        shown = {next(iter(found)): values[0]} if same else found
        told = ", ".join(f"{d:+.4g} ({t})" for t, d in shown.items())
        text.append(f"drift of a period, in lr: {told}" + (", the same at every t" if same else ""))
    if n.get("drift in 50 digits") is not None:
        exact = n["drift in 50 digits"]
        text.append(f"the same in {DIGITS} digits on {PERIODS} periods, at 1e+06: {exact:+.10g}")
    if exact := n.get("drift at t*/2 and 2 t*, 50 digits"):
        if None not in exact:
            text.append(f"at t*/2 and 2 t* in {DIGITS} digits: {exact[0]:+.4g}, {exact[1]:+.4g}")
    if "at the worst point" in n:
        (one, other), ten = n["R/T"]
        text.append(
            f"runs with alpha = {alpha:g} from -1 and +1: at T = {n['T']:,} x = "
            f"{n['x'][0][0]:+.4f}, {n['x'][0][1]:+.4f} and R_T/T = {one:.5f}, {other:.5f}; at 10 T "
            f"x = {n['x'][1][0]:+.4f}, {n['x'][1][1]:+.4f} and R_T/T = {ten[0]:.5f}, {ten[1]:.5f}; "
            f"at the worst point it is {n['at the worst point']:.5f}"
        )
    elif "slope" in n:
        text.append(
            f"run with alpha = {alpha:g} from {n['x_1']:g}: at T = {n['T']:,} x = {n['x']:+.4f}, "
            f"R_T/T = {n['R/T']:.4g}; log R_T/T over log T has slope {n['slope']:+.3f}"
        )
        if n["off in 50 digits"] is not None:
            text.append(
                f"in {DIGITS} digits x differs by at most {n['off in 50 digits']:.0e} in "
                f"{PERIODS} periods"
            )
    elif "growth" in n:
        text.append(
            f"run with alpha = {alpha:g}: x = {n['x'][0]:+.4g} at T = {n['T']:,} and "
            f"{n['x'][1]:+.4g} at 10 T; the way of a decade grows {n['growth']:.3f} times"
        )
    elif "from the best point" in n:
        before, last = n["from the best point"]
        text.append(
            f"run with alpha = {alpha:g} from the best point: x = {before:+.4f} at T = "
            f"{n['T'] // 10:,} and {last:+.4f} at 10 T; that it stays is said by the drift alone"
        )
    elif "t*" in n and "x" in n:
        text.append(
            f"run with alpha = {alpha:g} from the best point: in the period up to T = {n['T']:,} x "
            f"is no nearer to it than {n['x']:+.4f}"
        )
    elif "t*" in n:
        text.append("no run confirms it: t* is too late, or the rule too slow")
    return text


KINDS = (  # of problems that are counted
    *("drift wrong at every t", "right at every t", "wrong at first", "wrong in the end"),
    "undecided",
)


def _blocks(p: dict[str, Any]) -> str:
    shares = [f"{share:.0%}" for share in p["blocks"]]
    return f"or {', '.join(shares)} of the period, " if shares else ""


def tried(t: dict[str, Any]) -> list[str]:
    """The problems that were tried, with their ranges."""
    p = t["periodic"]
    (low, high), (least, most) = p["period"], p["spikes over the rest"]
    rest = p["problems"] - sum(p[kind] for kind in KINDS)
    text = [
        f"tried: {p['problems']:,} periodic problems on [-1, 1] (period {low} to {high:,}; "
        f"{', '.join(map(str, p['spikes']))} spikes {_blocks(p)}whose sum is {least:g} to {most:g} "
        f"times that of the rest; scale {', '.join(f'{x:g}' for x in p['scale'])}): drift wrong at "
        f"every t on {p['drift wrong at every t']:,}, only at first on {p['wrong at first']:,}, "
        f"only in the end on {p['wrong in the end']:,}, right at every t on "
        f"{p['right at every t']:,}, none or one without a sign in the end on {p['undecided']:,}"
        + (f", none at some t but right or wrong in the end on {rest:,}" if rest else "")
    ]
    if p["undecided"] == p["problems"]:
        text = ["four problems have no drift, so that it was looked for on no others"]
    for problem, (early, last) in t.get("known", {}).items():
        if last is None:
            told = "none in the end"
        elif early is not None and abs(early - last) <= 1e-6 * abs(last):
            told = f"{last:+.4g}"
        else:
            told = f"{early:+.4g} at 1e+03, {last:+.4g} at 1e+12"
        text.append(f"drift on {problem}: {told}")
    if r := t.get("runs"):
        text.append(
            f"{r['problems']} periodic problems without a drift that decides (periods "
            f"{min(RUN)} to {max(RUN):,}, scale 1) were run to T = {r['T']:,} with alpha = "
            f"{r['alpha']:g} from {r['x_1']:g}: regret stands still on {r['regret stands still']}, "
            f"{r['too slow']} are too slow to tell"
        )
    for problem, seen in t.get("seen", {}).items():
        ends = ", ".join(f"{x:.4g} ({k:,})" for k, x in zip(seen["T"], seen["R/T"], strict=True))
        text.append(f"seen on {problem}, alpha = {seen['alpha']:g} from 0: R_T/T = {ends}")
    if s := t.get("finite sums"):
        text.append(
            f"{s['problems']} finite sums of {s['members'][0]} to {s['members'][1]} members, "
            f"without projection, to T = {s['T']:,} with alpha = {s['alpha']:g}: x leaves every "
            f"bound on {s['x leaves every bound']}"
        )
    if d := t.get("independent draws"):
        text.append(
            f"{d['problems']} problems with independent draws (probability "
            f"{d['probability'][0]:g} to {d['probability'][1]:g}), {d['copies']} copies to T = "
            f"{d['T']:,}: regret stands still on {d['regret stands still']}"
            + ", with so few copies no finding"
            * bool(d["regret stands still"])
        )
    return text
