"""The benchmark's judgements and sums; nothing here depends on how long anything takes."""

import os
from functools import partial
from itertools import islice

import numpy as np
import pytest

from benchmarks import bandwidth, bars, figure, graphs, images, reddi, report, steps, training
from benchmarks.comparison import CHECKED, Work, compare
from benchmarks.cores import Cores
from benchmarks.groups import GROUPS, MODELS
from benchmarks.rows import Bar, Row, rows_of
from benchmarks.timing import CORES, Contestant, Failure, interleave
from tests.driving import host_only

pytestmark = host_only  # what is measured is NumPy


@pytest.mark.parametrize(
    "bar, ours, theirs, passes",
    [
        (Bar("it", 0.5), 1.0, 2.0, True),
        (Bar("it", 0.5), 1.01, 2.0, False),
        (Bar("it", 1.08, 30e-6), 129e-6, 100e-6, True),  # by the 30 us alone
        (Bar("it", 1.08, 30e-6), 131e-6, 100e-6, False),
        (Bar("it", 1.08, 30e-6), 1.07, 1.0, True),  # by the ratio alone
        (Bar("it", 1.08, 30e-6), 1.09, 1.0, False),
    ],
)
def test_a_bar_is_a_ratio_or_so_many_seconds_more(bar, ours, theirs, passes):
    assert bar.allows(ours, theirs) == passes
    ours, its = rows_of("work", {"ours": [ours] * 3, "it": [theirs] * 3}, [bar])
    assert its.bars == [f"{bar}: {'PASS' if passes else 'MISS'}"]
    assert ours.bars == []


def test_a_bar_is_held_against_the_median_of_the_fastest_of_its_names():
    times = {
        "ours": [2.0, 2.0, 9.0],
        "torch default": [4.0, 4.0, 4.0],
        "torch fused": [3.0, 3.0, 0.1],
        "jax": [5.0, 5.0, 5.0],
        "autograd": [1.0, 1.0, 1.0],
        "mygrad": [],
    }
    bar = Bar(("torch default", "torch fused", "jax"), 0.6)
    rows = {row.contestant: row for row in rows_of("work", times, [bar])}
    found = {name: row.bars for name, row in rows.items() if row.bars}
    assert found == {"torch fused": ["ours <= 0.6: MISS"]}
    assert rows["torch fused"].ratios == {"ours": pytest.approx(2 / 3)}
    assert rows["mygrad"].ratios == {} and rows["mygrad"].median is None


def test_each_of_ours_has_bars_of_its_own():
    times = {"ours": [4.0] * 3, "ours numba": [1.0] * 3, "torch fused": [2.0] * 3}
    found = [
        Bar("torch fused", 2.5),
        Bar("torch fused", 0.4, whose="ours numba"),
        Bar("ours", 0.25, whose="ours numba"),
    ]
    ours, _, torch = rows_of("work", times, found)
    assert torch.bars == ["ours <= 2.5: PASS", "ours numba <= 0.4: MISS"]
    assert ours.bars == ["ours numba <= 0.25: PASS"]
    assert torch.ratios == {"ours": 2.0, "ours numba": 0.5}
    assert torch.cells()[6:8] == ["2.00", "0.50"]


def test_a_bar_against_nobody_gives_no_verdict():
    times = {"ours": [1.0, 1.0], "jax": [], "ours numba": []}
    rows = rows_of("work", times, [Bar("jax", 1), Bar("ours", 1, whose="ours numba")])
    assert not any(row.bars for row in rows)


def test_measurements_take_turns():
    taken = []

    def measure(name):
        taken.append(name)
        return len(taken)

    times = interleave({name: partial(measure, name) for name in "ABC"}, 20)
    rounds = ["".join(taken[i : i + 3]) for i in range(0, 60, 3)]
    assert {"".join(sorted(one)) for one in rounds} == {"ABC"} and len(set(rounds)) == 6
    assert times == {name: [k for k, one in enumerate(taken, 1) if one == name] for name in "ABC"}


def test_a_round_waits_until_it_may_begin():
    taken = []
    interleave({"A": lambda: taken.append("A") or 1.0}, 2, lambda: taken.append("waited"))
    assert taken == ["waited", "A"] * 2


def test_cores_that_are_apart_are_waited_for_while_there_is_patience(monkeypatch):
    slept = []
    monkeypatch.setattr("benchmarks.cores.time.sleep", slept.append)
    cores = Cores([0], patience=5.0)
    assert cores.distance() == 0.0  # one core is near itself
    distances = iter([3.0, 20.0, 20.0, 3.0, 20.0, 20.0, 20.0])
    monkeypatch.setattr(cores, "distance", lambda: next(distances))
    for _ in range(3):
        cores.wait()
    assert (cores.looks, cores.apart, slept) == (3, 1, [2.0] * 3)


@pytest.mark.skipif(
    len(CORES) < 2 or not hasattr(os, "sched_setaffinity"), reason="needs two cores"
)
def test_the_distance_of_two_cores_is_measured():
    assert Cores(CORES, 0.0).distance() > 0


def test_doubts(monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    steady = [Row("work", "ours", [1.0, 1.0, 1.01]) for _ in range(20)]
    unsteady = [Row("work", "theirs", [1.0, 2.0, 3.0]) for _ in range(3)]
    assert report.doubts(0.1, steady, quick=False) == []
    assert report.doubts(0.1, [*steady, unsteady[0]], quick=False) == []  # one in twenty may
    assert "3 of 23 rows" in report.doubts(0.1, steady + unsteady, quick=False)[0]
    assert "busy" in report.doubts(1.5, steady, quick=False)[0]
    assert "--quick" in report.doubts(0.1, steady, quick=True)[0]
    wrong = Row("work", "theirs", note="WRONG: gives 1, ours 2")
    assert "work, theirs" in report.doubts(0.1, [*steady, wrong], quick=False)[0]
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert "CORETYPE=Haswell" in report.doubts(0.1, steady, quick=False)[0]


@pytest.mark.parametrize("sizes", [[6, 3], [6, 5, 4, 3]])
def test_the_training_step_by_hand_is_ours(sizes):
    ours, by_hand = (
        [float(loss) for loss in islice(make(sizes, 32), CHECKED)]
        for make in (training.ours, training.by_hand)
    )
    assert by_hand == pytest.approx(ours, rel=1e-5)
    assert ours[0] != ours[-1]


@pytest.mark.parametrize("parallel", [False, True])
def test_the_compiled_adam_by_hand_is_the_one_in_numpy(parallel, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(training, "MANY", 0 if parallel else 10**6)
    (p, g), steps_of = steps.task((7, 7)), (training.adam_in_numpy, training.adam_in_numba)
    results = [p.reshape(-1).copy() for _ in steps_of]
    for make, result in zip(steps_of, results, strict=True):
        step = make(result, g.reshape(-1))
        for _ in range(CHECKED):
            step()
    assert results[1] == pytest.approx(results[0], rel=1e-5)
    assert abs(results[0] - p.reshape(-1)).min() > 4e-3


@pytest.mark.parametrize("rule", steps.STATE)
def test_the_rule_of_the_textbook_is_ours(rule):
    ours, textbook = (
        [float(p) for p in islice(make(rule, (7, 7)), CHECKED)]
        for make in (steps.ours, steps.textbook)
    )
    start, _ = steps.task((7, 7))
    assert textbook - start[0, 0] == pytest.approx(ours - start[0, 0], rel=1e-4)


def test_bytes_that_must_move():
    assert steps.moved("SGD", (1000,)) == 4 * 1000 * 3  # reads p and g, writes p
    assert steps.moved("AMSGrad", (10, 100)) == 4 * 1000 * 9  # and m, v, v_max both ways
    assert bandwidth.moved(1000) == 4 * 1000 * 3  # reads x and y, writes x
    row = Row("work", "ours", [2e-3] * 3, moved=8_000_000, bandwidth=16e9)
    assert row.rate == 4e9
    assert "4 (25%)" in row.cells()


def test_the_sum_that_measures_bandwidth_reaches_every_number():
    assert list(islice(bandwidth.add(3, 1000), 3)) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("graph", graphs.OPS)
def test_a_graph_has_as_many_ops_as_its_time_is_divided_by(graph):
    class Counting:
        ops = 0

        def count(self, *_):
            Counting.ops += 1
            return self

        __mul__ = __add__ = sum = count

    graph(Counting(), [Counting() for _ in range(graphs.WIDTH)])
    assert Counting.ops == graphs.OPS[graph]


def test_slopes_of_the_graphs():
    _, *weights = graphs._leaves()
    assert next(graphs.ours(graphs.chain)) == pytest.approx(np.prod(weights, axis=0)[0], rel=1e-4)
    assert next(graphs.ours(graphs.wide)) == pytest.approx(np.sum(weights, axis=0)[0], rel=1e-4)


def test_a_convolution_of_the_bench_is_the_sum_that_its_peers_make():
    x, w, b, g = images.arrays((5, 3, 2, 4))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    value = (padded[0, :3, :3, :, None] * w).sum(axis=(0, 1, 2))[0] + b[0]
    dx = sum(g[0, 1 - i, 1 - j] @ w[i, j, 0] for i in (0, 1) for j in (0, 1))
    dw = (padded[:, :5, :5, 0] * g[..., 0]).sum()
    expected = value + dx + dw + g[..., 0].sum()
    assert float(next(images.ours((5, 3, 2, 4)))) == pytest.approx(expected, rel=1e-4)


def test_a_step_of_cifarnet_has_all_its_layers_or_no_response_norm():
    (whole, *_), (bare, *_) = (
        [float(loss) for loss in islice(images.cifarnet(8, norm), 2)] for norm in (True, False)
    )
    assert whole != bare


def test_the_replay_does_what_the_loop_does():
    assert next(reddi.replay(1, 1)) == pytest.approx(next(reddi.stepwise(1, 1)), rel=1e-10)


@pytest.mark.parametrize("schedule", [None, reddi.inverse_sqrt])
def test_playing_in_stretches_does_what_the_loop_does(schedule, monkeypatch):
    monkeypatch.setattr(reddi, "VALUES", 3000)  # 1,000 steps of 3 copies
    played, loop = reddi.played(2500, 3, schedule), reddi.stepwise(2500, 3)
    for _ in range(2):
        assert next(played) == pytest.approx(next(loop), rel=1e-10)


def test_works_are_named_once_and_their_bars_meet_somebody():
    for full in (True, False):
        works = [work for group in GROUPS.values() for s in group(full, False) for work in s]
        assert len({work.name for work in works}) == len(works)
        for work in works:
            assert "ours" in work.contestants
            for bar in work.bars:
                assert bar.whose in work.contestants
                assert any(map(bar.meets, work.contestants))
            assert not {*work.most, *work.scale} - {*work.contestants}
            if work.headline:
                assert work.contestants.keys() <= figure.STYLES.keys()
    assert sum(work.name.startswith(tuple(MODELS)) for work in works) == len(MODELS)


def test_every_bar_is_one_of_a_work():
    works = [work for group in GROUPS.values() for s in group(True, False) for work in s]
    held = {work.name: (work.bars, work.most) for work in works}
    for name, of_name in bars.COMPILED.items():
        assert held[f"{name}, 79,510 parameters, one thread"] == ((of_name,), {})
    for name, of_name in bars.STEP.items():
        assert held[f"{name}, 10,000,000 parameters"] == (of_name, {})
    numba = [most["ours numba"] for _, most in held.values() if "ours numba" in most]
    assert sorted(numba) == sorted([*bars.PLAYED.values(), *bars.PLAYED_BY_A_FUNCTION.values()])
    of_models = [held[f"{m}, batch {b}"][0] for m in MODELS for b in bars.OURS_OF_RIVALS[m]]
    ratios = [bar.ratio for found in of_models for bar in found if bar.whose == "ours numba"]
    assert ratios == [r for table in bars.NUMBA_OF_RIVALS.values() for r in table.values()]


def test_contestants_that_fail_or_differ_say_so():
    """In processes of their own."""
    tiny = {rule: partial(steps.ours, rule, (2,)) for rule in ("SGD", "Lion", "none")}
    every = {"ours": tiny["SGD"], "same": tiny["SGD"], "other": tiny["Lion"], "no": tiny["none"]}
    work = Work("a step", every, (Bar("same", 1e6),), scale={"same": 1e9})
    rows = {row.contestant: row for row in compare([work], 2, 1e-4, threads=1, wait=lambda: None)}
    assert rows["same"].bars == ["ours <= 1e+06: PASS"]  # of the scaled times
    assert rows["same"].median > 1e3 * rows["ours"].median
    assert rows["other"].note.startswith("WRONG")
    assert rows["no"].note.startswith("cannot: ")
    assert not rows["other"].times and not rows["no"].times


def test_a_contestant_whose_name_says_numba_compiles():
    pytest.importorskip("numba")
    compiles = "__import__('minigrad').backend.current().compiles"
    asked = partial(eval, f"__import__('itertools').repeat({compiles})")
    work = Work("whether", dict.fromkeys(("ours", "ours numba"), asked), first=1)
    rows = compare([work], 2, 1e-4, threads=1, wait=lambda: None)
    assert [row.note for row in rows] == ["", "WRONG: gives 1 after the first steps, ours 0"]


def test_what_was_before_is_imported_from_its_folder(tmp_path):
    for name in ("minigrad", "optim", "models"):
        (tmp_path / f"{name}.py").write_text("number = 3")
    number = "getattr(__import__('minigrad'), 'number', 1)"
    which = partial(eval, f"__import__('itertools').repeat({number})")
    every = {name: which for name in ("ours", "ours before")}
    work = Work("a number", every, first=1)
    rows = compare([work], 2, 1e-4, threads=1, wait=lambda: None, before=tmp_path)
    assert [row.note for row in rows] == ["", "WRONG: gives 3 after the first steps, ours 1"]


@pytest.mark.parametrize(
    "modules, make, why",
    [
        (["no_such_library"], steps.ours, "ModuleNotFoundError: No module named 'no_such_library'"),
        ([], partial(os._exit, 3), "its process ended with exit code 3"),
    ],
)
def test_why_a_contestant_cannot(modules, make, why):
    contestant = Contestant(modules)
    contestant.begin(make, 1)
    with pytest.raises(Failure, match=why):
        contestant.wait()
    contestant.stop()


def test_the_readmes_table_is_of_medians(tmp_path):
    rows = rows_of("a step", {"jax": [1e-3] * 3, "ours": [2e-3] * 3, "mygrad": []})
    for row in rows:
        row.group, row.headline = "training", True
    facts = {
        "date": "2026-01-01 00:00",
        "cpu": "a processor",
        "threads": 2,
        "versions": {"numpy": "2.4"},
        "worth nothing, because": ["it is made up"],
    }
    text = report.write(tmp_path, rows, facts)
    assert "| a step | 0       | mygrad" not in text
    table = (tmp_path / "readme.md").read_text().splitlines()
    assert "a processor" in table[0] and "because it is made up" in table[0]
    assert table[-1] == "| a step   | 2 ms | **1 ms** |"
    assert report.read(tmp_path) == (rows, facts)
