"""How a curve is made short enough to store, told apart from others in colour and in grey, and read
for a power."""

from collections.abc import Iterable
from itertools import cycle
from typing import Any

import numpy as np

MOST = 1000  # points of a curve

# Okabe and Ito's colours, which colour-blind readers can tell apart, with a style of line and a
# marker for each rule, which tell them apart in grey
STYLES = {
    "Adam": ("#D55E00", "-", "o"),
    "AMSGrad": ("#0072B2", "-", "s"),
    "PaperAdam": ("#CC79A7", "--", "<"),
    "AdamNC": ("#009E73", "--", "^"),
    "AdaGrad": ("#E69F00", "-.", "D"),
    "SGD": ("#000000", ":", "v"),
    "AMSGradTorch": ("#56B4E9", "--", "P"),
    "AMSGradKeras": ("#009E73", ":", "X"),
    "AMSGradOptax": ("#E69F00", "-.", "d"),
    "LeakyAMSGrad": ("#000000", "--", "*"),
}
COLORS = tuple(dict.fromkeys(color for color, _, _ in STYLES.values()))
DASHES, MARKERS = ("-", "--", "-.", ":"), "os^vDPXd*<>hp"


def looks(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The style of each rule's curve: its own, or else one with a marker that no other has."""
    labels = list(labels)
    own = [STYLES[label] for label in labels if label in STYLES]
    colors, _, markers = zip(*own, strict=True) if own else ((), (), ())
    free = zip(
        cycle(sorted(COLORS, key=colors.count)),
        cycle(DASHES),
        cycle([marker for marker in MARKERS if marker not in markers] or MARKERS),
        strict=False,
    )
    styles = {label: STYLES.get(label) or next(free) for label in labels}
    names = "color", "linestyle", "marker"
    return {label: dict(zip(names, style, strict=True)) for label, style in styles.items()}


def thinned(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The places of a curve's points to draw: of each piece the lowest and the highest.

    So at most MOST points are left, and no peak of the curve, or of its band from low to high, is
    lost. Gaps, which are NaN, stay.
    """
    if len(low) <= MOST:
        return np.arange(len(low))
    gaps = np.isnan(low)
    low, high = np.where(gaps, np.inf, low), np.where(gaps, -np.inf, high)
    pieces = np.array_split(np.arange(len(low)), max(1, (MOST - gaps.sum()) // 2))
    ends = [(piece[low[piece].argmin()], piece[high[piece].argmax()]) for piece in pieces]
    return np.union1d(ends, np.flatnonzero(gaps))


def fitted_power(x: Any, y: Any) -> float | None:
    """The p of |y| = c x^p that fits best in logarithms, by least squares; None for fewer than two
    values of x, or a y of 0."""
    if len(np.unique(x)) < 2 or 0 in y:
        return None
    return float(np.polyfit(np.log(x), np.log(np.abs(y)), 1)[0])


def spread(wanted: np.ndarray, gap: float, height: float) -> np.ndarray:
    """The places nearest to the wanted ones that are a gap apart, from 0 to height where they fit.

    Places less k gaps need only rise, so this is isotonic regression: neighbours that would overlap
    are pooled around their mean.
    """
    order = np.argsort(wanted, kind="stable")
    pools: list[list[float]] = []  # sum and number of neighbours
    for k, place in enumerate(order):
        pools.append([wanted[place] - gap * k, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            total, count = pools.pop()
            pools[-1] = [pools[-1][0] + total, pools[-1][1] + count]
    rising = [total / count for total, count in pools for _ in range(int(count))]
    highest = max(height - gap * (len(wanted) - 1), 0)
    places = np.empty(len(wanted))
    places[order] = np.clip(rising, 0, highest) + gap * np.arange(len(wanted))
    return places
