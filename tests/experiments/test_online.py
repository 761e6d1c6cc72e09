"""The loop of the online problems against a plain one."""

import numpy as np
import pytest

import minigrad
import optim
from experiments.loops import online
from experiments.loops.online import OnlineTrial, recorded_times
from experiments.problems.linear import Periodic, Stochastic
from optim.schedules import InverseSqrt
from tests.trials import finished

PERIODIC = Periodic(large=1010, small=10, period=101)


def make(steps=3000, **options):
    options = {"x1": 0.0, "lr": InverseSqrt(0.5), "betas": (0.9, 0.99), **options}
    return OnlineTrial(PERIODIC, optim.AMSGrad, steps=steps, **options)


def test_periodic_slopes_are_those_of_the_paper():
    slopes = PERIODIC.slopes(1, 304)[:, 0]
    assert [t for t in range(1, 304) if slopes[t - 1] == 1010] == [1, 102, 203]
    assert (slopes == -10).sum() == 300


def test_periodic_takes_one_slope_per_copy():
    slopes = Periodic(large=np.array([3.0, 5.0]), small=1, period=3).slopes(2, 6)
    np.testing.assert_array_equal(slopes, [[-1, -1], [-1, -1], [3, 5], [-1, -1]])


def test_stochastic_slopes_have_the_stated_law_and_depend_on_seed_copy_and_stretch():
    problem = Stochastic(1010, 10, 0.01, copies=100, seed=0)
    slopes = problem.slopes(1, 2001)
    assert set(np.unique(slopes)) == {-10, 1010}
    # 200,000 draws: the share of spikes has a standard error of 0.0002
    assert abs((slopes == 1010).mean() - 0.01) < 0.001
    assert problem.mean == pytest.approx(0.2)
    for other in (problem.slopes(2001, 4001), Stochastic(1010, 10, 0.01, 100, 1).slopes(1, 2001)):
        assert (other != slopes).any()
    assert (slopes[:, 0] != slopes[:, 1]).any()


def test_records_the_point_before_the_step_and_the_regret_so_far():
    traces = finished(make(steps=250))
    x, m, v, v_max, regret = 0.0, 0.0, 0.0, 0.0, 0.0
    expected = {}
    for t in range(1, 251):
        g = 1010.0 if t % 101 == 1 else -10.0
        regret += g * (x + 1)
        expected[t] = (x, regret / t)
        m = 0.9 * m + (1 - 0.9) * g
        v = 0.99 * v + (1 - 0.99) * g * g
        v_max = max(v_max, v)
        x = min(1.0, max(-1.0, x - 0.5 / t**0.5 * m / v_max**0.5))
    wanted = np.array([expected[t] for t in traces["t"]])
    np.testing.assert_allclose(traces["x"][:, 0], wanted[:, 0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(traces["average_regret"][:, 0], wanted[:, 1], rtol=1e-12)
    assert traces["t"][0] == 1 and traces["t"][-1] == 250


def test_stretches_change_nothing(monkeypatch):
    whole = finished(make(watch_metric=True))
    monkeypatch.setattr(online, "STRETCH", 7)
    pieces = finished(make(watch_metric=True))
    for name, values in whole.items():
        np.testing.assert_array_equal(values, pieces[name])


def test_gamma_is_counted_once_for_every_step_but_the_first():
    run = OnlineTrial(
        PERIODIC, optim.PaperAdam, steps=1500, x1=0.0, watch_metric=True, lr=0.5, betas=(0.9, 0.99)
    )
    traces = finished(run)
    # at constant alpha, Gamma_t < 0 exactly where the slope is not 1010 (and t >= 2)
    steps = np.arange(2, 1501)
    assert traces["gamma_negative"].sum() == (steps % 101 != 1).sum()
    edges = np.concatenate([[0], traces["t"]])
    for count, first, last, after, until in zip(
        traces["gamma_negative"][:, 0],
        traces["gamma_first"][:, 0],
        traces["gamma_last"][:, 0],
        edges[:-1] + 1,
        edges[1:],
        strict=True,
    ):
        inside = np.arange(max(after, 2), until + 1)
        falls = inside[inside % 101 != 1]
        assert count == len(falls)
        if count:
            assert (first, last) == (falls[0], falls[-1])
        else:
            assert np.isnan([first, last]).all()


@pytest.mark.parametrize(("steps", "period"), [(1, 1), (5, 101), (5000, 101), (10**6, 101), (9, 3)])
def test_what_is_recorded_is_at_the_ends_of_periods(steps, period):
    """What repeats with the period would show as noise of R_t / t, up to 2000 / t."""
    times = recorded_times(steps, period)
    assert times[-1] == steps and times[0] == 1 and (np.diff(times) > 0).all()
    later = times[(times > period) & (times < steps)]
    assert (later % period == 0).all()
    assert len(times) <= 501
    if steps > 100 * period:
        assert len(later) > 50


def test_many_copies_are_played_in_short_stretches():
    """A test of memory: steps times copies of an array stay below 2^20."""
    copies = 1600
    run = OnlineTrial(
        PERIODIC, optim.PaperAdam, steps=1000, x1=0.0, copies=copies, lr=0.5, betas=(0.9, 0.99)
    )
    run.advance()
    assert run.opt.t * copies <= 2**20 < (run.opt.t + 1) * copies


def test_rules_that_look_at_all_copies_at_once_are_refused():
    with pytest.raises(ValueError, match="LARS looks at all coordinates at once"):
        OnlineTrial(PERIODIC, optim.LARS, steps=10, x1=0.0, copies=2, lr=0.5)


def test_copies_are_separate_runs():
    both = OnlineTrial(
        Periodic(large=np.array([3.0, 10.0]), small=1, period=3),
        optim.PaperAdam,
        steps=500,
        x1=0.0,
        copies=2,
        lr=InverseSqrt(0.5),
        betas=(0.0, np.array([0.1, 1 / 101])),
    )
    traces = finished(both)
    for copy, (large, beta2) in enumerate([(3.0, 0.1), (10.0, 1 / 101)]):
        alone = OnlineTrial(
            Periodic(large=large, small=1, period=3),
            optim.PaperAdam,
            steps=500,
            x1=0.0,
            lr=InverseSqrt(0.5),
            betas=(0.0, beta2),
        )
        for name in ("x", "average_regret"):
            np.testing.assert_array_equal(traces[name][:, copy], finished(alone)[name][:, 0])


def test_resumes_bit_for_bit(tmp_path):
    whole = finished(make(steps=9000, watch_metric=True))
    first = make(steps=9000, watch_metric=True)
    first.advance()
    first.advance()
    minigrad.save(tmp_path / "run.npz", run=first)
    second = make(steps=9000, watch_metric=True)
    second.load_state_dict(minigrad.load(tmp_path / "run.npz")["run"])
    for name, values in finished(second).items():
        np.testing.assert_array_equal(values, whole[name])
