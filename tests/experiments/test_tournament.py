"""The tournament: its scores by hand, its runs against closed forms and against each other."""

import json
from dataclasses import replace

import numpy as np
import pytest

import experiments
import optim
from experiments.cli import main
from experiments.registry import EXPERIMENTS
from experiments.tournament import entries, scores
from experiments.tournament.entries import entry
from experiments.tournament.heat import Heat
from experiments.tournament.search import NEAR, Search, best_rate, grid
from experiments.tournament.standing import Standing, key
from minigrad import backend, load, save
from optim.named import named
from tests.driving import host_only

pytestmark = host_only

INF = np.inf
STEPS = np.array([[10, 20, INF], [20, 20, 30], [40, 80, 30]])  # rules, problems
WILD = """
import optim
from optim import inplace

class Wild(optim.Optimizer):
    lr: float = 1e12

    @inplace
    def kernel(p, g, *, lr):
        p -= lr * g
"""
ROOTED = """
from minigrad import xp
import optim
from optim import inplace

class Rooted(optim.Optimizer):
    lr: float = 0.1

    @inplace
    def kernel(p, g, *, lr):
        p -= lr * xp.sqrt(g)
"""


def played(trial):
    while not trial.done:
        trial.advance()
    return trial


def heat(name, rule, rates, seeds=2, times=(1, 20, 41)):
    made = entry(name, seeds, 0, "digits")
    return Heat(made, rule, rates, range(seeds), np.array(times))


def test_scores_by_hand():
    assert scores.ratios(STEPS).tolist() == [[1, 1, INF], [2, 1, 1], [4, 4, 1]]
    by_hand = [2 / 3, (2 / 3 + 1 + 1) / 3, 1 / 3]
    assert scores.score(STEPS) == pytest.approx(by_hand)
    profile = scores.profile(scores.ratios(STEPS), np.array([1, 1.9, 2, 4]))
    third = 1 / 3
    told = [[2 * third] * 4, [2 * third, 2 * third, 1, 1], [third, third, third, 1]]
    np.testing.assert_allclose(profile, told)


def test_a_score_is_the_integral_of_the_profile():
    rng = np.random.default_rng(0)
    steps = np.where(rng.random((5, 7)) < 0.8, rng.integers(1, 50, (5, 7)), INF)
    taus = 1 + 3 * (np.arange(30_000) + 0.5) / 30_000
    profile = scores.profile(scores.ratios(steps), taus)
    np.testing.assert_allclose(scores.score(steps), profile.mean(axis=1), atol=1e-4)


def test_a_problem_that_nobody_solves_adds_nothing():
    steps = np.column_stack([STEPS, [INF] * 3])
    np.testing.assert_allclose(scores.score(steps), scores.score(STEPS) * 3 / 4)


def test_equal_samples_tie_and_others_do_not():
    rng = np.random.default_rng(1)
    one = rng.integers(10, 13, (20, 5)).astype(float)
    shuffled = rng.permuted(one, axis=1)
    steps = np.array([one, one, shuffled, 3 * one, np.full_like(one, INF)])
    samples = scores.resampled(steps, 300, 0)
    assert scores.ties(samples, 0).tolist() == [True, True, True, False, False]
    assert (samples[:, 0] == samples[:, 1]).all() and (samples[:, 4] == 0).all()
    low, high = scores.interval(samples)
    assert (low <= scores.score(scores.median(steps))).all() and (low <= high).all()


def test_the_middle_of_seeds_that_do_not_all_arrive():
    assert scores.median(np.array([3, INF, 1, 2, INF])) == 3
    assert scores.median(np.array([3, INF, INF, 2, INF])) == INF
    assert scores.median(np.array([3.0, INF])) == INF


def test_descent_is_its_closed_form_and_its_best_rate_the_last_that_is_stable():
    """A quadratic of curvatures 1 to 10: 2/11 is the best rate of all, and 2/10 the bound."""
    times, s = np.array([1, 2, 5, 40, 101]), 3
    made = lambda: entry("quadratic", s, 7, None)  # noqa: E731
    trial = played(
        Search(made, named("SGD"), points=9, seeds=range(7, 7 + s), times=times)
    ).traces()
    np.testing.assert_allclose(trial["rates"][:9], 1e-3 * 10.0 ** (np.arange(-4, 5) / 2))
    best = best_rate(trial["reported"], times, True)
    assert trial["rates"][best] == pytest.approx(0.1)
    assert len(trial["rates"]) == 13  # it was at the edge
    assert (trial["failed"][10:] > 0).sum() == 0 or trial["reported"][-1, 10:].min() > 1e6
    curvatures = np.geomspace(1, 10, 20)
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))
    for k in range(s):
        along = made().start(7 + k)[0] @ axes
        told = (curvatures * along**2 * (1 - 0.1 * curvatures) ** (2 * (times[:, None] - 1))).sum(1)
        np.testing.assert_allclose(trial["reported"][:, best, k], told / 2, rtol=1e-5)


def test_momentum_is_faster_than_descent_where_the_conditioning_is_bad():
    result = experiments.run(
        "tournament", rules=("sgd",), problems="ill_conditioned", seeds=3, steps=600
    )
    standing = Standing(result.traces, result.settings)
    ends = {rule: of["ill_conditioned"].curves[-1] for rule, of in standing.played.items()}
    assert (ends["Momentum"] < ends["SGD"] / 3).all()


@pytest.mark.parametrize("rule", ["AdamW", "Momentum", "ScheduleFreeAdamW"])
@pytest.mark.parametrize("name", ["wood", "noisy", "mlp"])
def test_lanes_of_one_arena_are_runs_apart(rule, name):
    rates = np.array([1e-3, 1e-2])
    together = heat(name, optim.RULES[rule.lower()], rates)
    apart = heat(name, optim.RULES[rule.lower()], rates)
    assert not together.apart
    apart._begin(apart=True)
    for one in (together, apart):
        played(one)
    for name, values in together.recorded.items():
        np.testing.assert_array_equal(values, apart.recorded[name])


@pytest.mark.parametrize("wild", [1e3, 1e150])  # the second to a gradient that is not finite
def test_a_run_that_fails_stands_still_and_leaves_the_others_alone(wild):
    rates = np.array([1e-4, wild])
    both = played(heat("rosenbrock", optim.Momentum, rates))
    alone = played(heat("rosenbrock", optim.Momentum, rates[:1]))
    assert not both.apart
    assert (both.failed[0] == 0).all() and (both.failed[1] > 1).all()
    np.testing.assert_array_equal(both.recorded["reported"][:, :1], alone.recorded["reported"])
    assert np.isfinite(both.recorded["reported"][0]).all()
    assert (both.recorded["reported"][-1, 1] == INF).all()
    np.testing.assert_array_equal(both.runs.params[0].numpy()[1], both.first[0][1])


def test_a_step_that_a_rule_cannot_take_fails_that_run_alone():
    rooted = named("rooted.py:Rooted", {"rooted.py": ROOTED})
    one = played(heat("quadratic", rooted, np.array([1e-3]), seeds=4))
    assert one.apart and (one.failed == 1).all()  # some slope of each is negative
    made = heat("quadratic", rooted, np.array([1e-3, 1e-2]), seeds=2)
    assert not made.apart
    ways = np.array([[1.0], [-1.0]])
    made.entry = replace(made.entry, losses=lambda params, drawn: (params[0] * ways).sum(axis=-1))
    played(made)
    assert made.apart and (made.failed == [[0, 1], [0, 1]]).all()
    made.state_dict()  # what has broken off is not kept


@pytest.mark.parametrize("machine", ["numpy", "numba"])
@pytest.mark.parametrize(
    ("rule", "name", "apart"),
    [
        ("Adam", "wood", False),
        ("ScheduleFreeSGD", "quadratic", False),
        ("LAMB", "wood", True),
        ("Sophia", "noisy", True),
        ("LBFGS", "wood", True),
    ],
)
def test_a_search_goes_on_to_the_same_bits(rule, name, apart, machine, tmp_path):
    if machine == "numba":
        pytest.importorskip("numba")
    with backend.temporarily(backend.make(machine)):

        def made():
            return Search(
                lambda: entry(name, 2, 0, None),
                named(rule),
                points=3,
                seeds=range(2),
                times=np.array([1, 30, 60, 121, 401]),
            )

        whole = played(made()).traces()
        one, pieces = made(), 0
        while not one.done:
            one.advance()
            assert one.heat is None or one.heat.apart == apart
            save(tmp_path / "one.npz", trial=one)
            one = made()
            one.load_state_dict(load(tmp_path / "one.npz")["trial"])
            pieces += 1
        assert pieces > 3
        for name, array in one.traces().items():
            np.testing.assert_array_equal(array, whole[name])


def test_grids_are_around_a_rules_own_rate_and_none_where_its_name_fixes_it():
    np.testing.assert_allclose(grid(named("Lion"), 3), 1e-4 * np.sqrt([0.1, 1, 10]))
    assert grid(named("Adam(lr=0.5)"), 9) is None
    result = experiments.run("tournament", quick=True, rules="adam(lr=0.01)", problems="wood")
    trace = result.traces[key("Adam(lr=0.01)", "wood")]
    assert trace["reported"].shape[1] == 1 and np.isnan(trace["rates"]).all()
    assert "What the names of Adam(lr=0.01) fix" in result.caption


def test_all_are_the_rules_of_optim():
    s = EXPERIMENTS["tournament"].configured({"rules": "all,adam"})
    ours = {name for name, rule in optim.RULES.items() if rule.__module__.startswith("optim.")}
    assert set(s.rules) == ours and len(s.entrants) == len(s.rules) >= 69
    assert {label for label, one in s.entrants.items() if one.rule.needs_closure} == {
        "PolyakSGD",
        "Sophia",
        "LBFGS",
    }
    assert len(s.problems) == 23


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rules": "lion,sgd(lr=1e6)", "problems": "mlp,beale,rosenbrock", "seeds": 3},
        {"problems": "noisy_quadratic", "rates": 3, "seeds": 1, "steps": 30},
        {"problems": "rosenbrock,beale", "rules": "sgd,adam,adadelta"},  # some tie at 0
    ],
)
def test_what_is_said_is_read_off_the_traces(changes):
    result = experiments.run("tournament", quick=True, **changes)
    s, found = result.settings, result.findings
    rules = [finding.text.split(". ")[1].split(": ")[0] for finding in found]
    assert sorted(rules) == sorted(s.entrants)
    values = [finding.numbers["score"] for finding in found]
    assert values == sorted(values, reverse=True)
    assert f"{rules[0]} scores highest, {values[0]:.2f} of 1" in result.verdict
    assert f"{s.steps:,} steps" in result.caption and f"{s.rates} rates" in result.caption
    assert ("8x8 digits" in result.caption) == bool({"mlp", "softmax"} & {*s.problems})
    ratios = []
    for name in s.problems:
        levels, steps = [], []
        for rule in s.entrants:
            trace = result.traces[key(rule, name)]
            judged = trace.get("tuned", trace["reported"])
            converges = name not in entries.NETWORKS
            at = best_rate(judged, trace["t"], converges)
            curve = trace["reported"][:, at].astype(float)
            if rule in s.references:
                upto = curve[trace["t"] <= 1 + 0.75 * s.steps].min(axis=0)
                levels.append(sorted(upto)[s.seeds // 2] if s.seeds % 2 else np.median(upto))
            steps.append((trace["t"], curve))
        level = 1.01 * min(levels)
        if converges:
            level = max(level, NEAR * np.median(curve[0]))
        times = []
        for t, curve in steps:
            each = sorted(
                next((at for at, x in zip(t, one, strict=True) if x <= level), INF)
                for one in curve.T
            )
            times.append(each[len(each) // 2])
        ratios.append(np.array(times) / min(times))
    told = np.clip((4 - np.array(ratios).T) / 3, 0, 1).mean(axis=1)
    for rule, score in zip(s.entrants, told, strict=True):
        finding = found[rules.index(rule)]
        assert finding.numbers["score"] == pytest.approx(score)
        assert 0 <= finding.numbers["low"] <= finding.numbers["high"] <= 1
    marked = [text.get_text() for text in result.figure.axes[0].texts]
    tied = [text for text in marked if text.startswith("tie")]
    said = ["a tie with the first" in finding.text for finding in found]
    assert len(tied) == sum(said)
    if "sgd(lr=1e6)" in s.rules:
        wild = found[rules.index("SGD(lr=1000000.0)")]
        assert "failed at its best rate on " in wild.text and wild.numbers["failed"] >= 3
        assert "rosenbrock (3 of 3)" in wild.text and "beale (3 of 3)" in wild.text


def test_a_rule_that_diverges_at_once_at_every_rate_is_drawn_as_failed(tmp_path):
    (tmp_path / "wild.py").write_text(WILD)
    wild = f"{tmp_path}/wild.py:Wild"
    result = experiments.run("tournament", quick=True, rules=wild, problems="beale,rosenbrock")
    result.save(tmp_path)
    (found,) = [one for one in result.findings if ". Wild: " in one.text]
    assert "failed at its best rate on beale (2 of 2) and rosenbrock (2 of 2)" in found.text
    assert (result.traces["Wild on rosenbrock"]["reported"][-1] == INF).all()


def test_the_command_and_its_problems(tmp_path, capsys):
    chosen = ["tournament", "--quick", "--out", str(tmp_path), "--workers", "1"]
    assert main([*chosen, "--rules", "lion", "--problems", "wood,quadrtic"]) == 2
    assert "problem 'quadrtic' is unknown" in capsys.readouterr().err
    assert main([*chosen, "--rules", "lion", "--problems", "wood,quadratic"]) == 0
    found = json.loads((tmp_path / "tournament" / "findings.json").read_text())
    assert "on 2 problems" in found["verdict"]
    table = (tmp_path / "tournament" / "figure.csv").read_text()
    assert "1. scores" in table and ",Lion," in table


def test_the_tables_have_what_was_found_and_the_steps_of_every_run(tmp_path):
    pandas = pytest.importorskip("pandas")
    chosen = {"rules": "lion,adam(lr=0.01)", "problems": "wood,rosenbrock,quadratic", "seed": 3}
    result = experiments.run("tournament", quick=True, **chosen)
    names = [path.name for path in result.save(tmp_path)]
    assert names[2:] == ["figure.csv", "scores.csv", "steps.csv", "findings.json"]
    table = pandas.read_csv(tmp_path / "scores.csv").fillna("")
    assert [f"{row.place}. {row.rule}" for row in table.itertuples()] == [
        one.text.split(": ")[0] for one in result.findings
    ]
    for row, one in zip(table.itertuples(), result.findings, strict=True):
        assert one.numbers == {name: getattr(row, name) for name in one.numbers}
        assert ("a tie with the first" in one.text) == (row.tie == "tie")
    steps = pandas.read_csv(tmp_path / "steps.csv")
    assert len(steps) == len(table) * 3 * 2 and set(steps.seed) == {3, 4}
    for row in steps.itertuples():
        trace = result.traces[key(row.rule, row.problem)]
        at = np.flatnonzero(np.isclose(trace["rates"], row.rate, equal_nan=True))
        (curve,) = trace["reported"][:, at, row.seed - 3].T
        below = np.flatnonzero(curve <= row.target)
        assert row.steps == (trace["t"][below[0]] if below.size else INF)
    # The scores again, by pandas
    middle = steps.groupby(["problem", "rule"]).steps.max().unstack("problem")  # the upper of two
    ratios = (middle / middle.min()).fillna(INF)
    by_pandas = ((4 - ratios) / 3).clip(0, 1).mean(axis=1)
    for row in table.itertuples():
        assert row.score == pytest.approx(by_pandas[row.rule])
