"""What is measured of the runs of `floor`."""

import numpy as np

from experiments.loops.lanes import mean_so_far
from experiments.problems.noisy import double_well_extrema
from experiments.record.curves import fitted_power

RATES = 10.0 ** np.arange(-2.5, -0.4, 0.125)  # constant alphas
SMALL = 0.1  # up to which alpha the power of the floor is read
DECAY = "SGD by schedule"  # the label of a trial
SCHEDULES = {"0.1": (0.1, 0.0), "1/sqrt(t)": (1.0, -0.5), "1/t": (1.0, -1.0)}  # rate, exponent
AVERAGE = "mean of x at 0.1"


def floors(traces, s):
    """By rule: E x^2 over the seeds and the second half of the steps, for each of the rates."""
    return {name: traces[f"{name} floor"]["mean"][-1].mean(axis=1) for name in s.names}


def power(floor):
    """Of the floor in alpha, by least squares over the small rates; None where it is 0 at one."""
    small = RATES <= SMALL * 1.001
    return fitted_power(RATES[small], floor[small])


def crossings(traces, s):
    """By rule, for each rate: the share of the seeds that began in the worse well and end in the
    better, the share of those that went the other way, and of all that end in the better."""
    _, top, _ = double_well_extrema(s.tilt)
    found = {}
    for name in s.names:
        below = traces[f"{name} wells"]["x"][-1] < top
        out, kept = below[:, : s.seeds].mean(axis=1), below[:, s.seeds :].mean(axis=1)
        found[name] = out, 1 - kept, (out + kept) / 2
    return found


def half(traces, s):
    """By rule: the alpha, and the floor, at which half of the seeds from the worse well end in the
    better, as read between two rates; None where they do so at no rate, or at the least."""
    found = {}
    for name, floor in floors(traces, s).items():
        out = crossings(traces, s)[name][0]
        k = int(np.argmax(out >= 0.5))
        if out[k] < 0.5 or k == 0:
            found[name] = None
            continue
        part = (0.5 - out[k - 1]) / (out[k] - out[k - 1])
        pairs = (np.log(values[k - 1 : k + 1]) for values in (RATES, floor))
        found[name] = tuple(float(np.exp(a + part * (b - a))) for a, b in pairs)
    return found


def decays(trace):
    """By schedule: E x^2 over the seeds, before step t; and of the mean of all x up to t."""
    squares = (trace["x"] ** 2).mean(axis=2)
    averaged = mean_so_far(trace["t"], trace["mean"][:, 0])
    return {**dict(zip(SCHEDULES, squares.T, strict=True)), AVERAGE: (averaged**2).mean(axis=1)}
