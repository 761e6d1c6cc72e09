"""A device against NumPy, op by op and rule by rule: `make gpu`.

Errors are relative to the larger of 1 and |x|. A device adds up in another order than NumPy,
rounds a * b + c once in its own kernels, and has exp and its kin to a few units in the last place:
some roundings, 6e-8 and 1e-16 each, of which a few steps or a sum of a hundred numbers collect a
hundred. Trajectories in which single roundings grow by more are allowed ten times what NumPy's own
moves when every gradient is off by one rounding. A rule that does none of that has NumPy's bits.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import optim
from minigrad.tape import OPS
from optim.engine.functions import ROUNDED_ANYHOW
from optim.engine.passes import FlatPass
from tests.device import device_side
from tests.driving import host_only, start, tensors
from tests.rules.table import TABLE

ROOT = Path(__file__).parents[2]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
RULES = [r.__name__ for r in optim.RULES.values() if r.__module__.startswith("optim.")]


def gpu(test: Any) -> Any:
    # one group, since each process that runs these tests computes all that they compare
    return pytest.mark.gpu(pytest.mark.xdist_group("gpu")(test))


class Results(NamedTuple):
    """The arrays of device_side.py by name."""

    numpy: dict[str, Any]
    nudged: dict[str, Any]
    device: dict[str, Any]


def python(backend: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"MINIGRAD_BACKEND": backend, "PYTHONPATH": str(ROOT), "CUPY_TF32": "0"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    said = python("cupy", "-c", "import minigrad; minigrad.xp.zeros").stderr
    no_device = said.rfind("RuntimeError: use('cupy'): ")
    if no_device >= 0:
        pytest.skip(said[no_device:].strip())
    folder = tmp_path_factory.mktemp("device")
    found = []
    for i, (backend, *nudged) in enumerate([["numpy"], ["numpy", "--nudged"], ["cupy"]]):
        file = folder / f"{i}.npz"
        done = python(backend, "-m", "tests.device.device_side", str(file), *nudged)
        assert done.returncode == 0, done.stderr
        with np.load(file) as arrays:
            found.append(dict(arrays))
    return Results(*found)


def error(got: Any, expected: Any) -> float:
    scaled = np.abs(got - expected) / np.maximum(1, np.abs(expected))
    return float(np.max(scaled, initial=0))


Errors = dict[str, tuple[float, float]]


def differences(results: Results, prefix: str) -> tuple[Errors, list[str]]:
    """The error and what is allowed of each array of that prefix, and what is wrong of them."""
    errors, wrong = {}, []
    for key, expected in results.numpy.items():
        if not key.startswith(prefix):
            continue
        assert not key.endswith("/error"), f"{key}: {expected}"
        got = results.device.get(key)
        if got is None:
            wrong.append(f"{key}: {results.device[key.rpartition('/')[0] + '/error']}")
        elif (got.shape, got.dtype) != (expected.shape, expected.dtype):
            wrong.append(f"{key}: {got.dtype} {got.shape}, not {expected.dtype} {expected.shape}")
        else:
            dtype = next(name for name in TOLERANCE if f"/{name}/" in key)
            allowed = TOLERANCE[dtype]
            if not key.startswith("op/"):
                allowed = max(allowed, 10 * error(results.nudged[key], expected))
            errors[key] = error(got, expected), allowed
            if not errors[key][0] <= allowed:  # nor where it is NaN
                wrong.append("{}: error {:.1e}, allowed {:.1e}".format(key, *errors[key]))
    assert errors or wrong, f"nothing to compare in {prefix}"
    return errors, wrong


def compare(results: Results, prefix: str) -> None:
    wrong = differences(results, prefix)[1]
    if wrong:
        pytest.fail("\n".join([f"{len(wrong)} arrays are wrong", *wrong[:20]]), pytrace=False)


@gpu
@pytest.mark.parametrize("name", sorted(OPS))
def test_op(name, results):
    compare(results, f"op/{name}/")


@gpu
@pytest.mark.parametrize("name", RULES)
def test_rule(name, results):
    compare(results, f"rule/{name}/")


@gpu
@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.__name__)
def test_rule_bit_for_bit(rule, results):
    if not is_exact(rule):
        pytest.skip("sums over coordinates, or does what libraries round differently")
    mine = [key for key in results.numpy if key.startswith(f"rule/{rule.__name__}/")]
    assert mine
    for key in mine:
        np.testing.assert_array_equal(results.device[key], results.numpy[key], err_msg=key)


def is_exact(rule):
    """Whether each coordinate is for itself, in operations that have one right result."""
    if rule.per_tensor or not TABLE[rule].elementwise:
        return False
    passes = rule(tensors(start()))._passes.values()
    programs = [one.program for one in passes if isinstance(one, FlatPass)]
    functions = {entry.function for one in programs for entry in (*one.hoisted, *one.loop)}
    return not functions & ROUNDED_ANYHOW


@gpu
def test_training(results):
    compare(results, "training/")


@gpu
def test_steps_leave_no_memory_behind(results):
    assert "memory/error" not in results.device, results.device["memory/error"]
    early, late = np.split(results.device["memory/bytes"], 2)
    used, held = late.max(0)
    print(f"training holds {held} bytes, {used} of them in use after a step")
    assert np.all(late.max(0) <= early.max(0))


@gpu
def test_a_step_of_amsgrad_takes_about_as_long_as_copying_what_it_reads_and_writes(results):
    assert "speed/error" not in results.device, results.device["speed/error"]
    times = {name: results.device[f"speed/{name}"] for name in ("training", "amsgrad", "copying")}
    print(", ".join(f"{name} {1e6 * seconds:.0f} us" for name, seconds in times.items()))
    assert times["amsgrad"] < 2 * times["copying"]


@gpu
def test_report_of_the_largest_errors(results):
    for kind in ("op/", "rule/", "training/"):
        errors = differences(results, kind)[0]
        for dtype in TOLERANCE:
            mine = {key: pair for key, pair in errors.items() if f"/{dtype}/" in key}
            worst = max(mine, key=lambda key: mine[key][0] / mine[key][1])
            print("{}: error {:.1e}, allowed {:.1e}".format(worst, *mine[worst]))


def test_most_rules_are_exact():
    assert sum(map(is_exact, TABLE)) >= 37


def test_every_op_and_every_rule_is_compared_in_both_dtypes():
    named = [*device_side.ops(), *device_side.rules()]
    compared = {tuple(key.split("/")[:3]) for key, _ in named}
    every = [("op", name) for name in OPS] + [("rule", name) for name in RULES]
    assert compared == {(*one, dtype) for one in every for dtype in TOLERANCE}


@host_only
def test_what_is_compared_can_be_computed_and_agrees_with_itself():
    arrays = dict(device_side.computed(device_side.ops()))
    arrays |= dict(device_side.computed(device_side.training()))
    for kind in ("op/", "training/"):
        errors, wrong = differences(Results(arrays, arrays, arrays), kind)
        assert {one for one, _ in errors.values()} == {0} and not wrong


@pytest.mark.parametrize(
    "wrong, message",
    [
        (np.array([1, 2 + 3e-5], "float32"), "error 1.5e-05, allowed 1.0e-05"),
        (np.array([1, np.nan], "float32"), "error nan"),
        (np.array([1, 2], "float64"), r"float64 \(2,\), not float32"),
        (np.array([[1, 2]], "float32"), r"float32 \(1, 2\), not float32 \(2,\)"),
        (None, "TypeError: no such kernel"),
    ],
)
def test_a_difference_is_seen(wrong, message):
    key, right = "op/add/float32/0/value", {"op/add/float32/0/value": np.array([1, 2], "float32")}
    device = {"op/add/float32/0/error": np.array("TypeError: no such kernel")}
    if wrong is not None:
        device = {key: wrong}
    with pytest.raises(pytest.fail.Exception, match=message):
        compare(Results(right, right, device), "op/add/")


def test_a_trajectory_may_differ_by_what_a_rounding_does():
    key = "rule/SGD/float64/0/trajectory"
    numpy, nudged, device = ({key: np.array([2 + 2 * d])} for d in (0.0, 1e-6, 9e-6))
    compare(Results(numpy, nudged, device), "rule/")
    with pytest.raises(pytest.fail.Exception, match=r"error 9\.0e-06, allowed 1\.0e-06"):
        compare(Results(numpy, {key: numpy[key] + 2e-7}, device), "rule/")
