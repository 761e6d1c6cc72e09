"""Gradients that are averaged over real processes."""

import re
import shutil
import sys

import numpy as np
import pytest

import optim
from tests.driving import flat, host_only
from tests.mpi import ROOT, mpiexec, needs_mpi
from tests.wrappers.batches import BATCH, STEPS, adam, batches, clipped, network

pytestmark = pytest.mark.xdist_group("mpi")
RANKS = (1, 2, 4)
several = pytest.mark.parametrize("n", RANKS[1:])
AGREE = (
    "clipped",
    "accumulated",
    "two runs",
    "convolutions",
    "shards float64",
    "lbfgs",
    "sam",
    "small batch",
)


def run(n, place, **environment):
    """What each of n ranks has found."""
    ended = mpiexec(n, "-m", "mpi4py", "-m", "tests.wrappers.on_ranks", place, **environment)
    assert ended.returncode == 0, ended.stdout
    return [dict(np.load(place / f"{rank}.npz")) for rank in range(n)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each rank has found, by the number of ranks; one and four go on from what two saved."""
    places = {n: tmp_path_factory.mktemp(f"{n}-ranks") for n in RANKS}
    results = {2: run(2, places[2])}
    for n in (1, 4):
        shutil.copy(places[2] / "half.npz", places[n])
        results[n] = run(n, places[n])
    return results


def alone(make, parts=((slice(None), 1.0),), steps=STEPS):
    """The same training without AllReduce, from the sum over parts of their mean gradients times
    their weights."""
    model = network()
    opt = make(model.parameters())
    for x, y in batches()[:steps]:
        opt.zero_grad()
        for part, weight in parts:
            model.loss(x[part], y[part]).backward(np.float64(weight))
        opt.step()
    return flat(opt.params)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)


def says(found, name, pattern):
    for one in found:
        assert re.search(pattern, str(one[name])), one[name]


@needs_mpi
@pytest.mark.parametrize("n", RANKS)
def test_every_rank_has_the_same(found, n):
    for other in found[n][1:]:
        assert other.keys() == found[n][0].keys()
        for name, value in other.items():
            if name != "another model":  # whose error says what is here
                np.testing.assert_array_equal(value, found[n][0][name], err_msg=name)


@needs_mpi
@several
@pytest.mark.parametrize("name", AGREE)
def test_any_number_of_ranks_agrees_after_20_steps(found, n, name):
    close(found[n][0][name], found[1][0][name])


@needs_mpi
@host_only
def test_one_rank_is_the_inner_bit_for_bit(found):
    for name, make in {
        "clipped": clipped,
        "accumulated": lambda p: optim.Accumulate(adam(p), 3),
        "counted alike": adam,
    }.items():
        np.testing.assert_array_equal(found[1][0][name], alone(make), err_msg=name)


@needs_mpi
@host_only
def test_without_samples_the_ranks_count_alike(found):
    half = BATCH // 2
    expected = alone(adam, [(slice(half), 0.5), (slice(half, None), 0.5)])
    close(found[2][0]["counted alike"], expected)
    assert np.max(abs(expected - alone(adam))) > 1e-6


@needs_mpi
@several
@pytest.mark.parametrize("name", ("shards float32", "shards float64", "resumed"))
def test_shards_give_the_same_bits_on_any_number_of_ranks(found, n, name):
    np.testing.assert_array_equal(found[n][0][name], found[1][0][name], strict=True)


@needs_mpi
def test_shards_differ_from_whole_batches_by_rounding_alone(found):
    close(found[1][0]["shards float64"], found[1][0]["clipped"])
    np.testing.assert_allclose(
        found[1][0]["shards float32"], found[1][0]["clipped"], rtol=0, atol=1e-3
    )


@needs_mpi
def test_what_other_ranks_resume_ends_as_it_would_have(found):
    for n in RANKS:
        np.testing.assert_array_equal(found[n][0]["resumed"], found[1][0]["shards float32"])


@needs_mpi
def test_all_begin_with_the_weights_of_rank_0(found):
    for n in RANKS:
        np.testing.assert_array_equal(found[n][-1]["other seeds"], flat(network().parameters()))


@needs_mpi
@several
@host_only
def test_a_gradient_that_is_bad_on_one_rank_is_refused_on_all(found, n):
    for one in found[n]:
        assert re.match(r"FloatingPointError: .* at step 4: .* nan", str(one["bad said"]))
        assert one["bad kept"] and one["bad t"] == 3
        close(one["bad"], found[1][0]["clipped"])


@needs_mpi
@several
def test_a_gradient_that_is_bad_on_one_rank_is_left_out_on_all(found, n):
    for one in found[n]:
        assert one["left out skipped"] == 1 and one["left out t"] == 3
        close(one["left out"], found[1][0]["clipped"])


@needs_mpi
@several
def test_where_ranks_do_not_agree_all_of_them_say_so(found, n):
    last = n - 1
    says(found[n], "drifted", rf"RuntimeError: at step 6 the weights .* ranks \[{last}\] are not")
    others = ", ".join(["3"] * last)
    says(found[n], "state of one", rf"RuntimeError: the ranks are at steps \[0, {others}\]")
    says(found[n], "samples of one", rf"ValueError: parts \[1.*\] of {n} have no `samples`")
    says(found[n], "no samples", "ValueError: samples=0 in every part; leave that batch out")
    says(found[n][:1], "another model", r"ValueError: the ranks differ .*, .* on rank 1; build")
    says(found[n], "too many", f"ValueError: shards={n + 1} is not a multiple of the {n} ranks")


@needs_mpi
def test_it_is_the_outermost(found):
    for name in ("clip norm", "skip", "groups"):
        says(found[2], f"around {name}", "TypeError: .*, AllReduce, .*; put AllReduce around all")


@needs_mpi
@pytest.mark.parametrize(
    "name, said",
    [
        ("samples", "ValueError: samples=-1: give how many there are"),
        ("closure", "TypeError: a closure would have to go backward shard by shard"),
        ("shards", "AttributeError: shards is fixed; build another wrapper"),
        ("none", "ValueError: deterministic=True with shards=None: give both"),
        ("lbfgs", r"TypeError: AllReduce\(deterministic=True\) steps from gradients, but LBFGS"),
        ("half", "RuntimeError: 1 of this rank's 2 shards have gone backward; save after"),
    ],
)
def test_misuse_says_what_and_how_to_mend_it(found, name, said):
    says(found[2], f"misused {name}", said)


@needs_mpi
@host_only
def test_arrays_of_a_device_go_through_the_host(found, tmp_path):
    on_device = run(2, tmp_path, MINIGRAD_BACKEND="strict")
    for name in (*AGREE, "left out", "resumed"):
        np.testing.assert_allclose(on_device[0][name], found[2][0][name], rtol=0, atol=1e-6)


@needs_mpi
@host_only  # a process of its own does not know the stand-in
def test_an_error_on_one_rank_ends_the_others(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import optim, models\n"
        "from mpi4py import MPI\n"
        "opt = optim.AllReduce(optim.Adam(models.MLP([4, 3], rng=0).parameters()))\n"
        "assert MPI.COMM_WORLD.rank == 0, 'a mistake'\n"
        "opt.step()\n"
    )
    ended = mpiexec(2, "-m", "mpi4py", script)
    assert ended.returncode != 0
    assert "AssertionError: a mistake" in ended.stdout


@needs_mpi
@host_only  # a process of its own does not know the stand-in
def test_the_script_of_the_page_runs(tmp_path):
    page = (ROOT / "docs/distributed.md").read_text("utf-8")
    script = tmp_path / "train.py"
    script.write_text(page.split("```python\n")[1].split("```")[0] + "print(opt.t)\n")
    ended = mpiexec(2, "-m", "mpi4py", script)
    assert ended.returncode == 0 and ended.stdout.count("50") == 2, ended.stdout


def test_without_mpi_it_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(RuntimeError, match=r"need MPI \(.*\); pip install .*\[mpi\].*mpich"):
        optim.AllReduce(adam(network().parameters()))
