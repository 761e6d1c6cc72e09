"""A whole run as one launch: compiled by g++ and nvcc, and what it gives on the stand-in."""

import shutil
import subprocess

import numpy as np
import pytest

import optim
from minigrad import Tensor, backend, to_host
from minigrad.backend import xp
from optim.engine import cuda_run
from optim.engine.cuda import OPTIONS
from optim.schedules import InverseSqrt, Power
from tests.device import cuda_source, strict
from tests.device.strict import counting
from tests.driving import both_dtypes

STEPS, COPIES = 20, 3
RULES = [  # numbers that continue, powers, two passes, comparisons, infinities, a metric
    optim.AMSGrad,
    optim.Adam,
    optim.AdaBound,
    optim.NAdam,
    optim.ASGD,
    optim.ScheduleFreeAdamW,
    optim.Rprop,
    optim.SGD,
]
SETTINGS = {
    "a schedule": {"lr": InverseSqrt(0.3)},
    "arrays": {"lr": Power(0.1, np.array([0, -0.5, -0.3])), "projection": optim.Box(-0.6, 0.8)},
}


def play(rule, dtype, width, settings):
    rng = np.random.default_rng(1)
    scale = rng.choice([0, 1, 10], (STEPS, width))
    gradients = (rng.normal(size=(STEPS, width)) * scale).astype(dtype)
    x = Tensor(np.linspace(-0.5, 0.7, COPIES), requires_grad=True, dtype=dtype)
    opt, metric = rule([x], **settings), bool(rule.diagonal)
    given = xp.asarray(gradients)
    with counting() as counted:
        found = opt.play(given, metric=metric)
    parts = [to_host(a) for a in (found if metric else (found,))]
    state = {name: to_host(a).copy() for name, a in opt.state.items()}
    return {"p": x.numpy().copy(), **state}, parts, dict(counted)


needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")
every_case = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)


@needs_compiler
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@both_dtypes
@every_case
@pytest.mark.parametrize("width", (1, COPIES))
def test_a_run_on_a_device_has_the_bits_of_numpy(rule, dtype, settings, width):
    if rule is optim.Rprop:
        settings = {name: value for name, value in settings.items() if name != "lr"}
    with backend.temporarily(strict.make()):
        there, parts, _ = play(rule, dtype, width, settings)
    with backend.temporarily(backend.Backend()):
        here, expected, _ = play(rule, dtype, width, settings)
    for name, array in here.items():
        np.testing.assert_array_equal(there[name], array, err_msg=name, strict=True)
    for part, other in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(part, other, strict=True)


@needs_compiler
def test_a_run_launches_a_few_kernels_however_many_steps_it_has():
    with backend.temporarily(strict.make()):
        _, _, counted = play(optim.AMSGrad, "float64", 1, SETTINGS["a schedule"])
    assert counted["launches"] < STEPS / 2 and counted.get("to_host", 0) <= 2


@pytest.fixture
def printed(monkeypatch):
    """A function of a rule and a dtype: the source of a run, which is not launched."""
    source, made = cuda_run.source, []

    def note(cut, dtype, shared, metric):
        made.append(source(cut, dtype, shared, metric))
        raise StopIteration

    def of(rule, dtype):
        monkeypatch.setattr(cuda_run, "source", note)
        with backend.temporarily(strict.make()), pytest.raises(StopIteration):
            play(rule, dtype, 1, {} if rule is optim.Rprop else SETTINGS["a schedule"])
        return made[-1]

    return of


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@both_dtypes
def test_nvcc_compiles_it(rule, dtype, tmp_path, printed):
    nvcc = shutil.which("nvcc")
    if not nvcc:
        pytest.skip("nvcc is not on the PATH")
    (tmp_path / "run.cu").write_text(printed(rule, dtype))
    command = [nvcc, "-arch=sm_80", *OPTIONS, "-cubin", "-o", "run.cubin", "run.cu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@both_dtypes
@pytest.mark.parametrize("arch", (80, 90))
def test_nvrtc_compiles_it_without_fused_products(rule, dtype, arch, printed):
    does = cuda_source.compiled(printed(rule, dtype), OPTIONS, arch)
    assert does.count(".visible .entry run(") == 1
    # a power of float64 is made of them
    assert "fma.rn.f64" not in does or rule is optim.NAdam
    assert "fma.rn.ftz.f32" not in does
