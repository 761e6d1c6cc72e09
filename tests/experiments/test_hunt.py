"""The hunter: drifts against their closed form, verdicts against what the literature says, and rows
of docs/hunt.md again."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import optim
from experiments.cli import main
from experiments.hunt import lasting, screening, search, sums, table, verdicts, written
from experiments.hunt.drift import CERTAIN, Drift, drift
from experiments.hunt.exactly import exact_drift, exact_start
from experiments.hunt.hunted import OTHER, Hunted
from experiments.hunt.problems import KNOWN, Drawn, Spiked, as_slopes, periodic, simple, whole
from experiments.hunt.runs import Run, run
from experiments.problems import drift as closed
from minigrad import backend
from tests.driving import host_only

pytestmark = host_only
REDDI, THEOREM_1 = KNOWN
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def numba():
    """What runs at full length needs."""
    if find_spec("numba") is None:
        pytest.skip("numba is not installed")
    with backend.temporarily(backend.make("numba")):
        yield


@pytest.mark.parametrize("betas", [(0.9, 0.9), (0.9, 0.99), (0.0, 0.5), (0.5, 0.95)], ids=str)
@pytest.mark.parametrize("name, kept", [("PaperAdam", 0.0), ("Adam", 0.0), ("AMSGrad", 1.0)])
@pytest.mark.parametrize("problem", [REDDI, THEOREM_1, Spiked(7.0, 1.0, 10)], ids=str)
def test_the_drift_is_that_of_the_closed_form(problem, name, kept, betas):
    found = drift(Hunted.of(name, betas=betas), as_slopes([problem]), 10**6)
    assert found.d[0] == pytest.approx(float(closed.drift(problem, betas, kept)), rel=1e-6)


def test_problems_of_one_period_are_coordinates():
    hunted, problems = Hunted.of("RMSProp", alpha=0.9), [Spiked(float(c), 1.0, 8) for c in (5, 9)]
    both = drift(hunted, as_slopes(problems), 1000)
    for i, problem in enumerate(problems):
        assert drift(hunted, as_slopes([problem]), 1000).d[0] == pytest.approx(both.d[i], rel=1e-8)


def test_a_sum_of_squares_has_no_limit(monkeypatch):
    monkeypatch.setattr("experiments.hunt.drift.MOST", 5000)
    assert np.isnan(drift(Hunted.of("AdaGrad"), as_slopes([THEOREM_1]), 1000).d[0])


def test_a_limit_is_one_of_the_state():
    """AdamX's maximum, which has grown a hundredfold at once, stands still for long, and so does D,
    while v rises towards it: only then D is that of the peak of v."""
    found = drift(Hunted.of("AdamX"), as_slopes([Spiked(0.6, 1.0, 3)]), 10**6)
    assert found.d[0] == pytest.approx(1.4 / np.sqrt((0.36 + 2) / 3), rel=1e-3)


def test_a_leak_forgets_in_a_long_block():
    """As sign descent does in the end; a maximum that stays goes the other way."""
    slopes, worst = as_slopes([Spiked(1.3, 1.0, 32_000, spikes=14_400)]), np.array([1.0])
    assert drift(Hunted.of("SignSGD"), slopes, 1000).d[0] == pytest.approx(32_000 - 2 * 14_400)
    assert drift(Hunted.of("LeakyAMSGrad", rho=0.99, betas=(0.9, 0.9)), slopes, 1000).wrong(worst)
    assert drift(Hunted.of("AMSGrad"), slopes, 1000).right(worst)


def test_nor_has_a_rule_whose_moves_depend_on_x():
    decayed = Hunted.of("SGD").__class__(optim.SGDW, "alpha", "", {"weight_decay": 0.1})
    assert np.isnan(drift(decayed, as_slopes([THEOREM_1]), 1000).d[0])


@pytest.mark.parametrize(
    "beta2, turn",
    [(0.5, 6.3e7), (0.9, 4.7e6)],  # Taniguchi et al. 2024: the clip is t^(1/4)
)
def test_adopt_turns_late(beta2, turn):
    hunted = Hunted.of("ADOPT", betas=(0.9, beta2))
    found = verdicts.drifts(hunted, REDDI)
    sides = verdicts.signs(found, REDDI)
    k = sides.index(-1)
    assert sides == [1] * k + [-1] * (10 - k)
    low, high = verdicts.DECADES[k - 1], verdicts.DECADES[k]
    assert verdicts._bisected(hunted, REDDI, low, high, True) == pytest.approx(turn, rel=0.01)


def test_its_turn_without_a_clip_that_binds():
    """From the equation: D changes its sign where the spike's moves equal those of the others."""
    hunted = Hunted.of("ADOPT", betas=(0.0, 0.9))
    ages = np.arange(100, dtype=float)
    v = 100 + (1010**2 - 100) * 0.1 * 0.9**ages / (1 - 0.9**101)
    turn = (10 / np.sqrt(v)).sum() ** 4 + 1
    low, high = verdicts.DECADES[3], verdicts.DECADES[4]
    assert verdicts._bisected(hunted, REDDI, low, high, True) == pytest.approx(turn, rel=1e-3)


@pytest.mark.parametrize("name", ["SGD", "Momentum", "AMSGrad", "AMSGradTorch"])
def test_what_remembers_goes_the_right_way(name):
    hunted = Hunted.of(name, **({"betas": (0.9, 0.99)} if "AMSGrad" in name else {}))
    for problem in (*KNOWN, Spiked(3.0, 1.0, 5), Spiked(6.0, 1.0, 12, spikes=2)):
        found = drift(hunted, as_slopes([problem]), 10**6)
        assert found.right(problem.worst).all() and not found.wrong(problem.worst).any()


def test_theorem_1_is_found():
    hunted = Hunted.of("PaperAdam", betas=(0.0, 0.1))
    found = verdicts.drifts(hunted, THEOREM_1)
    finding = verdicts.ends_at_worst(hunted, THEOREM_1, found)
    assert finding.verdict == verdicts.WORST and finding.problem == "3 x if t mod 3 = 1, else -x"
    numbers = finding.numbers
    assert numbers["drift in 50 digits"] == pytest.approx(0.68, abs=0.005)
    assert numbers["at the worst point"] == pytest.approx(2 / 3)
    np.testing.assert_allclose(numbers["x"], 1.0, atol=0.05)
    np.testing.assert_allclose(numbers["R/T"], 2 / 3, rtol=0.05)


def test_it_climbs_where_a_run_that_shows_that_it_stays_would_be_too_long(numba, monkeypatch):
    monkeypatch.setattr(lasting, "LONGEST", 10**5)
    for betas, climbs in (((0.0, 0.1), True), ((0.9, 0.99), False)):
        hunted = Hunted.of("PaperAdam", betas=betas)
        finding = verdicts.climbs(hunted, THEOREM_1, verdicts.drifts(hunted, THEOREM_1))
        assert bool(finding) == climbs
        if finding:
            np.testing.assert_allclose(finding.numbers["from the best point"], 1.0, atol=0.05)
            assert written.evidence(finding.numbers, finding.alpha)[-1].endswith("drift alone")


def test_a_rule_that_only_passes_by_does_not_end_there(monkeypatch):
    """Where runs are not where the drift says, nothing is found."""
    hunted = Hunted.of("PaperAdam", betas=(0.0, 0.1))
    found = verdicts.drifts(hunted, THEOREM_1)

    def elsewhere(*given, **options):
        r = run(*given, **options)
        return Run(r.t, r.x - 0.06, r.average, r.moved, r.lowest)

    monkeypatch.setattr(lasting, "run", elsewhere)
    assert verdicts.ends_at_worst(hunted, THEOREM_1, found) is None


def test_rounding_is_excluded(monkeypatch):
    hunted = Hunted.of("PaperAdam", betas=(0.0, 0.1))
    found = verdicts.drifts(hunted, THEOREM_1)
    assert exact_drift(hunted, THEOREM_1, 10**6) == pytest.approx(found[10**6].d[0], rel=1e-9)
    monkeypatch.setattr(verdicts, "exact_drift", lambda *_: 0.6)
    assert verdicts.ends_at_worst(hunted, THEOREM_1, found) is None
    assert exact_start(Hunted.of("Adam"), REDDI, 0.0) < 1e-12
    assert exact_drift(Hunted.of("NovoGrad"), THEOREM_1, 1000) is None  # it has no trace


def still(averages, x, moved=0.5):
    """What is said of regret at three decades."""
    column = [np.array(values)[:, None] for values in (x, averages)]
    r = Run(np.array([10**5, 10**6, 10**7]), *column, np.array([moved]), np.zeros(1))
    judged = verdicts.stands_still(r, REDDI, [0])
    return judged and judged[0]


def test_regret_stands_still_only_if_it_does_not_fall_ever_faster():
    assert still([0.0682, 0.0573, 0.0565], [-0.428, -0.429, -0.430]) == verdicts.STILL
    assert still([0.2, 0.2, 0.2], [1.0, 1.0, 1.0]) == verdicts.STILL
    assert still([0.2, 0.0632, 0.02], [-0.9, -0.97, -0.99]) is None
    slow = [0.099 * (1 - 2 / 3 * move) for move in (0.02, 0.0632, 0.2)]  # x moves like sqrt(t)
    assert still(slow, [-0.02, -0.0632, -0.2]) == verdicts.SLOW
    assert still([0.0990, 0.0990, 0.0989], [0.0, 0.0, -0.001], moved=0.01) == verdicts.SLOW


def test_adagrad_stands_still_with_a_second_root(numba):
    result = search.hunt(Hunted.of("AdaGrad", "alpha / sqrt(t)"), lambda _: None)
    finding = next(f for f in result.findings if f.of == REDDI)
    assert finding.verdict == verdicts.STILL
    assert finding.numbers["R/T"] == pytest.approx(0.056, abs=0.001)


def test_without_projection_it_leaves_every_bound(numba):
    finding = verdicts.diverges(Hunted.of("PaperAdam", betas=(0.0, 0.1)), THEOREM_1)
    assert finding.numbers["growth"] == pytest.approx(10**0.5, rel=0.01)
    assert verdicts.diverges(Hunted.of("AMSGrad"), THEOREM_1) is None


def test_finite_sums(monkeypatch):
    monkeypatch.setattr(sums, "TIMES", (100, 1000, 10_000))
    monkeypatch.setattr(sums, "MEMBERS", (3, 10))
    [finding], tried = sums.search(Hunted.of("PaperAdam", betas=(0.0, 0.1)))
    assert finding.of.period == 3 and sums.CYCLIC in finding.problem
    assert finding.numbers["growth"] == pytest.approx(10**0.5, rel=0.1)
    assert tried["x leaves every bound"] > 1
    found, tried = sums.search(Hunted.of("AMSGrad", betas=(0.9, 0.99)))
    assert not found and tried["x leaves every bound"] == 0


@pytest.mark.parametrize("x, slope", [(1.0, 5.0), (-1.0, 5.0), (-1.5, 2.5), (-2.0, 0.0)])
def test_their_members_are_quadratics_beyond_the_best_point(x, slope):
    """Zhang et al. 2022: the minimum is at -2."""
    assert sums.slope(np.array(5.0), np.array(x), np.array(1.0)) == slope
    assert sums.slope(np.array(-5.0), np.array(-x), np.array(-1.0)) == -slope


def test_the_families_have_the_best_point_that_they_should():
    for rare_wins in (True, False):
        for family in (simple, whole):
            assert {problem.worst for problem in family(rare_wins)} == {1.0 if rare_wins else -1.0}
    every = [p for scale in (1.0, 100.0) for p in periodic(scale)]
    assert len(set(every)) == len(every) and all(p.mean for p in every)


def test_a_few_spikes():
    problem = Spiked(5.0, 1.0, 7, spike=2, spikes=2)
    assert problem.one_period.tolist() == [-1, 5, 5, -1, -1, -1, -1]
    assert problem.slopes(6, 10)[:, 0].tolist() == [-1, -1, -1, 5]
    assert problem.mean == 5 / 7 and problem.worst == 1
    assert str(problem) == "5 x if (t - 2) mod 7 < 2, else -x"
    assert problem.regret(np.array([5.0, -1.0]), np.array([1.0, 0.0])).tolist() == [10.0, -1.0]
    assert Drawn(2.0, 1.0, 0.1, 1, 0).worst == -1


def test_periods_can_be_made_one():
    """As for the rules that are not compiled."""
    short, long = Spiked(9.0, 1.0, 8), Spiked(20.0, 1.0, 16)
    both = drift(Hunted.of("PaperAdam", betas=(0.0, 0.5)), as_slopes([short, long]), 1000)
    alone = drift(Hunted.of("PaperAdam", betas=(0.0, 0.5)), as_slopes([short]), 1000)
    assert both.d[0] == pytest.approx(2 * alone.d[0]) and (both.steps, alone.steps) == (16, 8)


def test_a_rule_that_sees_tensors_whole_gets_one_for_each_coordinate():
    assert Hunted.of("AdaShift").apart and not Hunted.of("MARS").apart
    one = Hunted.of("MARS").built(np.zeros(2))[0].play(np.array([[3.0, -5.0]] * 20))
    alone = Hunted.of("MARS").built(np.zeros(1))[0].play(np.array([[-5.0]] * 20))
    np.testing.assert_array_equal(one[:, 1], alone[:, 0])


def test_a_drift_without_a_sign_is_neither():
    nothing = Drift(np.array([0.5 * CERTAIN, np.nan]), np.ones(2), np.ones(2), 1)
    assert not nothing.wrong(1.0).any() and not nothing.right(1.0).any()


def test_every_rule_has_a_row_or_a_reason():
    ours = {
        n for n, r in ((r.__name__, r) for r in optim.RULES.values()) if "optim." in r.__module__
    }
    hunted = {one.name for _, one in table.rows()}
    assert ours == hunted | OTHER.keys()
    assert len(ours) == len(hunted) + len(OTHER)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["lars"], "LARS is not hunted: its step is in proportion to the size of x"),
        (["adam(lr=1)"], "lr is alpha under a schedule"),
        (["adma"], "rule 'adma' is unknown; did you mean"),
    ],
)
def test_what_cannot_be_hunted(arguments, message, capsys):
    assert main(["hunt", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_command_says_what_it_found(numba, tmp_path, capsys):
    assert main(["hunt", "signsgd", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "ends at the worst point on f_t(x) = 3 x if t mod 3 = 1, else -x" in printed
    assert "drift of a period, in lr: +1 (1e+03), the same at every t" in printed
    assert "tried: 2,401 periodic problems on [-1, 1] (period 2 to 32,000;" in printed
    [row] = json.loads((tmp_path / "SignSGD" / table.JSON).read_text()).values()
    assert row["findings"][0]["verdict"] == verdicts.WORST
    assert (tmp_path / "SignSGD" / "figure.png").stat().st_size > 10_000
    assert (tmp_path / "SignSGD" / "figure.svg").stat().st_size < 250_000


def test_the_table_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    every, hunted = list(table.rows())[:3], []

    def hunt(one, _):
        if len(hunted) == 2:
            raise KeyboardInterrupt
        hunted.append(str(one))
        seen = {str(REDDI): {"alpha": 0.5, "T": [1], "x": [0.0], "R/T": [0.1]}}
        return search.Hunt(one, tried={"periodic": screening.counted(GRID), "seen": seen})

    monkeypatch.setattr(table, "rows", lambda: every)
    monkeypatch.setattr(table, "hunt", hunt)
    with pytest.raises(KeyboardInterrupt):
        table.make(tmp_path, echo=lambda _: None)
    assert list(json.loads((tmp_path / table.JSON).read_text())) == [name for name, _ in every[:2]]
    hunted.clear()
    table.make(tmp_path, echo=lambda _: None)
    assert hunted == [str(every[2][1])]
    page = (tmp_path / table.PAGE).read_text()
    assert all(f"| `{name}` | alpha" in page for name, _ in every) and "not run yet" not in page


GRID = [screening.Screened([REDDI], np.full((4, 1), -1), np.ones(1))]


def test_the_page_is_written_from_the_rows():
    known = json.loads((DOCS / table.JSON).read_text())
    every = [name for name, _ in table.rows()]
    assert list(known) == [name for name in every if name in known]
    missing = [name for name in every if name not in known]
    assert (DOCS / table.PAGE).read_text("utf-8") == written.page(known, missing)


@pytest.mark.parametrize("name", table.AGAIN)
def test_rows_again(name, numba):
    """As they stand in docs/hunt.json."""
    row = json.loads((DOCS / table.JSON).read_text())[name]
    found = table.as_row(search.hunt(dict(table.rows())[name], lambda _: None))
    again = json.loads(json.dumps(found))
    assert again["tried"]["periodic"] == row["tried"]["periodic"]
    told = [(f["verdict"], f["problem"], f["alpha"]) for f in row["findings"]]
    assert [(f["verdict"], f["problem"], f["alpha"]) for f in again["findings"]] == told
    for one, other in zip(again["findings"], row["findings"], strict=True):
        for key, value in other["numbers"].items():
            if isinstance(value, float):
                assert one["numbers"][key] == pytest.approx(value, rel=1e-6), key
