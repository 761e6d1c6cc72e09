"""Saving an optimizer's state, and continuing from it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
import optim
from minigrad import to_host
from optim import check
from optim.schedules import Cosine, InverseSqrt, Linear, MultiStep, WarmUp
from tests.driving import SIZE, assert_identical, both_dtypes, drive, end, gradients, start, tensors
from tests.rules.table import TABLE, every_rule
from tests.wrappers.cases import assert_same

GRADS = gradients(20)
BETAS = np.linspace(0.5, 0.9, SIZE)


def build(rule, x0, **settings):
    return rule(tensors(x0), lr=InverseSqrt(0.1), projection=optim.Box(-2, 2), **settings)


def resume(rule, path, dtype="float32", **settings):
    """A fresh optimizer in the saved state."""
    saved = minigrad.load(path)
    opt = build(rule, np.zeros(SIZE, dtype), **settings)
    opt.params.load_state_dict(saved["params"])
    opt.load_state_dict(saved["opt"])
    return opt


def continue_(name, path, out):
    """What another process runs."""
    opt = resume(optim.RULES[name], path)
    drive(opt, GRADS[10:])
    np.savez(out, **end(opt))


@every_rule
@both_dtypes
def test_continues_bit_for_bit(rule, dtype):
    outcome = check.continues(rule, dtype, lr=InverseSqrt(0.1), projection=optim.Box(-2, 2))
    assert outcome.holds, outcome


@pytest.mark.parametrize("rule", (optim.Adam, optim.AMSGradOptax))
def test_continues_a_sweep_over_betas(rule, tmp_path):
    opt = build(rule, start(), betas=(BETAS, 0.99))
    drive(opt, GRADS[:10])
    minigrad.save(tmp_path / "state.npz", params=opt.params, opt=opt)
    rows = drive(opt, GRADS[10:])
    fresh = resume(rule, tmp_path / "state.npz", "float64", betas=(BETAS, 0.99))
    np.testing.assert_array_equal(drive(fresh, GRADS[10:]), rows)


def test_every_rule_continues_bit_for_bit_in_another_process(tmp_path):
    ends = {}
    for rule in TABLE:
        opt = build(rule, start("float32"))
        drive(opt, GRADS[:10])
        (tmp_path / rule.__name__).mkdir()
        minigrad.save(tmp_path / rule.__name__ / "state.npz", params=opt.params, opt=opt)
        drive(opt, GRADS[10:])
        ends[rule.__name__] = end(opt)
    code = """if True:
        import sys
        from tests import conftest
        from tests.engine import test_resume
        for name in sys.argv[1:]:
            test_resume.continue_(name.lower(), f"{name}/state.npz", f"{name}/end.npz")
    """
    subprocess.run(
        [sys.executable, "-c", code, *ends],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
    )
    for name, expected in ends.items():
        with np.load(tmp_path / name / "end.npz") as file:
            assert_identical(dict(file), expected)


@every_rule
def test_a_saved_state_is_a_copy(rule):
    opt = build(rule, start())
    drive(opt, GRADS[:2])
    saved = opt.state_dict()
    before = {name: array.copy() for name, array in saved["state"].items()}
    drive(opt, GRADS[2:4])
    assert_identical(saved["state"], before)
    opt.load_state_dict(saved)
    drive(opt, GRADS[4:6])  # nor do steps after loading write to it
    assert_identical(saved["state"], before)


def without(saved, name):
    return {**saved, "state": {n: a for n, a in saved["state"].items() if n != name}}


def put(saved, name, array):
    return {**saved, "state": {**saved["state"], name: array}}


UNFIT = {
    "another rule": (lambda s: {**s, "rule": "AdaGrad"}, r"AdaGrad, not of AMSGrad"),
    "a kin with the same arrays": (lambda s: {**s, "rule": "AMSGradKeras"}, r"not of AMSGrad;"),
    "an array less": (lambda s: without(s, "v_max"), r"AMSGrad lacks \['v_max'\] and has \[\]"),
    "an array more": (lambda s: put(s, "u", np.zeros(SIZE)), r"lacks \[\] and has \['u'\]"),
    "another name": (
        lambda s: put(without(s, "v"), "s", np.zeros(SIZE)),
        r"lacks \['v'\] and has \['s'\]",
    ),
    "a shorter array": (lambda s: put(s, "v_max", np.ones(SIZE - 1)), r"'v_max'.*48.*47"),
    "a number": (lambda s: put(s, "v", np.array(1.0)), r"'v'.*\(48,\).*\(\)"),
    "another shape": (lambda s: put(s, "v", np.ones((2, 24))), r"'v'.*\(48,\).*\(2, 24\)"),
    "another dtype": (
        lambda s: put(s, "v_max", np.ones(SIZE, np.float32)),
        r"'v_max'.*float64.*float32",
    ),
}


@pytest.mark.parametrize("damage, said", UNFIT.values(), ids=UNFIT)
def test_a_state_that_does_not_fit_changes_nothing(damage, said):
    opts = [optim.AMSGrad(tensors(start()), lr=0.1) for _ in range(2)]
    for opt in opts:
        drive(opt, GRADS[:3])
    saved = opts[0].state_dict()
    drive(other := optim.AMSGrad(tensors(start())), GRADS[5:12])
    foreign = {**other.state_dict(), "rule": "AMSGrad"}
    assert saved.keys() == foreign.keys()
    with pytest.raises(ValueError, match=said):
        opts[0].load_state_dict(damage(foreign))
    assert opts[0].t == 3
    assert_identical(end(opts[0]), end(opts[1]))
    np.testing.assert_array_equal(drive(opts[0], GRADS[3:6]), drive(opts[1], GRADS[3:6]))


NUMBERS = {
    "too many": (np.ones(SIZE - 1), r"'beta1_t' of Adam is float64 of shape \(48,\), .* \(47,\)"),
    "rows": (np.ones((1, SIZE)), r"'beta1_t' of Adam .* \(1, 48\)"),
    "another dtype": (np.float32(1), r"'beta1_t' of Adam is float64 of shape \(\), .* float32"),
    "many of another dtype": (np.ones(SIZE, "float32"), "'beta1_t' of Adam is float64 .* float32"),
    "no array": (1.0, "'beta1_t' of Adam is a saved float; load an array"),
    "a list": ([1.0] * SIZE, "'beta1_t' of Adam is a saved list"),
}


@pytest.mark.parametrize("number, said", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("betas", ((0.9, 0.99), (BETAS, 0.99)), ids=("one", "a sweep"))
def test_numbers_that_do_not_fit_change_nothing(number, said, betas):
    opt, twin = (optim.Adam(tensors(start()), betas=betas) for _ in range(2))
    drive(opt, GRADS[:3])
    drive(twin, GRADS[:3])
    with pytest.raises(ValueError, match=said):
        opt.load_state_dict(put(twin.state_dict(), "beta1_t", number))
    assert_identical(end(opt), end(twin))
    np.testing.assert_array_equal(drive(opt, GRADS[3:6]), drive(twin, GRADS[3:6]))


def test_numbers_of_a_sweep_go_back_to_where_there_was_one():
    # at first 1 for all coordinates, and after a step a number for each
    opt, twin = (optim.Adam(tensors(start()), betas=(BETAS, 0.99)) for _ in range(2))
    first = {"params": opt.params.state_dict(), "opt": opt.state_dict()}
    assert first["opt"]["state"]["beta1_t"].shape == ()
    expected = drive(twin, GRADS[:6])
    drive(opt, GRADS[:6])
    assert to_host(opt.state["beta1_t"]).shape == (SIZE,)
    later = {"params": opt.params.state_dict(), "opt": opt.state_dict()}
    for saved in (first, later, first):
        opt.params.load_state_dict(saved["params"])
        opt.load_state_dict(saved["opt"])
        assert_identical({n: to_host(a) for n, a in opt.state.items()}, saved["opt"]["state"])
    np.testing.assert_array_equal(drive(opt, GRADS[:6]), expected)
    assert_identical(end(opt), end(twin))


@every_rule
def test_a_rule_takes_the_state_of_no_other(rule):
    opt = rule(tensors(start()))
    for other in TABLE:
        if other is not rule:
            with pytest.raises(ValueError, match=f"of {other.__name__}, not of {rule.__name__}"):
                opt.load_state_dict(other(tensors(start())).state_dict())


def test_loading_leaves_no_metric_behind():
    opt = optim.Adam(tensors(start()))
    drive(opt, GRADS[:2])
    opt.load_state_dict(opt.state_dict())
    with pytest.raises(RuntimeError, match="call step"):
        opt.metric()
    drive(opt, GRADS[2:3])
    opt.metric()


def test_the_state_holds_what_continuing_needs():
    opt = optim.AMSGradOptax(tensors(start()), betas=(0.5, 0.75))
    drive(opt, GRADS[:2])
    saved = opt.state_dict()
    assert saved["rule"] == "AMSGradOptax" and saved["t"] == 2
    assert saved["state"]["beta1_t"] == 0.25 and saved["state"]["beta2_t"] == 0.5625
    assert set(saved) == {"rule", "shapes", "t", "state", "settings"}
    assert saved["settings"] == {"lr": 1e-3, "betas": {"0": 0.5, "1": 0.75}, "eps": 1e-8}
    assert_identical({"p": end(opt)["p"], **saved["state"]}, end(opt))


# Settings

DECAY = np.linspace(0, 0.1, SIZE)
ASSIGNED = {  # whatever is set between steps is there again
    "a number": {"lr": 0.03},
    "NumPy's": {"lr": np.float32(0.03), "eps": np.float64(1e-4)},
    "0-d": {"lr": np.array(0.03)},
    "an array": {"lr": DECAY, "betas": (BETAS, 0.9)},
    "a schedule": {"lr": Cosine(0.1, 0.01, 15)},
    "schedules": {"betas": (Linear(0.5, 0.9, 15), 0.99), "weight_decay": InverseSqrt(DECAY)},
    "composed": {"lr": WarmUp(12, MultiStep(0.1, 0.5, (3, 5))) * InverseSqrt(1.0)},
}


@pytest.mark.parametrize("settings", ASSIGNED.values(), ids=ASSIGNED)
def test_what_was_set_after_construction_continues_bit_for_bit(settings, tmp_path):
    def build(x0):
        return optim.AdamW(tensors(x0), lr=0.05)

    opt = build(start())
    drive(opt, GRADS[:5])
    for name, value in settings.items():
        setattr(opt, name, value)
    drive(opt, GRADS[5:10])
    minigrad.save(tmp_path / "state.npz", params=opt.params, opt=opt)
    rows = drive(opt, GRADS[10:])
    for assigned in (False, True):
        fresh = build(np.zeros(SIZE))
        for name, value in settings.items() if assigned else ():
            setattr(fresh, name, value)
        saved = minigrad.load(tmp_path / "state.npz")
        fresh.params.load_state_dict(saved["params"])
        fresh.load_state_dict(saved["opt"])
        np.testing.assert_array_equal(drive(fresh, GRADS[10:]), rows, strict=True)
        assert_same(fresh.state_dict(), opt.state_dict())


def test_the_saved_settings_win_until_others_are_set():
    opt = optim.Adam(tensors(start()), lr=0.5)
    fresh = optim.Adam(tensors(start()), lr=Cosine(0.1, 0, 9), betas=(BETAS, 0.5), eps=1e-3)
    fresh.load_state_dict(opt.state_dict())
    assert (fresh.lr, fresh.betas, fresh.eps) == (0.5, (0.9, 0.999), 1e-8)
    fresh.lr = 0.25
    drive(fresh, GRADS[:1])
    assert fresh.used["lr"] == 0.25


def test_of_a_function_the_state_knows_that_it_was_one():
    def rate(t):
        return 0.1 / t

    def build(lr):
        return optim.SGD(tensors(start()), lr=lr)

    saved = build(rate).state_dict()
    assert saved["settings"]["lr"] == {"class": "function"}
    other = build(lambda t: 0.2)
    kept = other.lr
    other.load_state_dict(saved)
    assert other.lr is kept
    for lr in (0.1, InverseSqrt(0.1), BETAS):
        with pytest.raises(ValueError, match=r"lr=.*: lr was a function, which no file holds, and"):
            build(lr).load_state_dict(saved)
    drive(other, GRADS[:1])
    other.load_state_dict(build(0.3).state_dict())
    assert other.lr == 0.3


class Counted:
    """A schedule of somebody's own, with a state that JSON holds."""

    def __init__(self):
        self.calls = 0

    def __call__(self, t):
        self.calls += 1
        return 0.1 / self.calls

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, saved):
        self.calls = saved["calls"]
        if self.calls < 0:
            raise ValueError("calls that never were")


def test_a_schedule_of_ones_own_may_have_a_state():
    opt, fresh = (optim.SGD(tensors(start()), lr=Counted()) for _ in range(2))
    drive(opt, GRADS[:5])
    saved = opt.state_dict()
    assert saved["settings"]["lr"] == {"class": "Counted", "state": {"calls": opt.lr.calls}}
    fresh.params.load_state_dict(opt.params.state_dict())
    fresh.load_state_dict(saved)
    np.testing.assert_array_equal(drive(fresh, GRADS[5:]), drive(opt, GRADS[5:]))
    calls = fresh.lr.calls
    saved["settings"]["lr"]["state"]["calls"] = -1
    with pytest.raises(ValueError, match=r"lr=.* calls that never were"):
        fresh.load_state_dict(saved)
    assert fresh.lr.calls == calls


def test_a_setting_that_is_fixed_must_be_the_saved_one():
    saved = optim.Prodigy(tensors(start()), d0=1e-3).state_dict()
    optim.Prodigy(tensors(start()), d0=1e-3).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"d0=0.001 of the saved state of Prodigy: d0 is fixed;"):
        optim.Prodigy(tensors(start())).load_state_dict(saved)


@pytest.mark.parametrize("path", ("run.npz", Path("run.npz"), b"run.npz", None), ids=repr)
def test_a_path_in_place_of_a_state_is_told_of_load(path):
    opt = optim.SGD(tensors(start()))
    for one in (opt, optim.ClipNorm(opt, 1.0), optim.Groups([opt])):
        with pytest.raises(TypeError, match=r"give what state_dict\(\) gave, .* minigrad.load\("):
            one.load_state_dict(path)


def test_a_whole_checkpoint_in_place_of_a_state_is_told_what_it_has():
    opt = optim.SGD(tensors(start()))
    with pytest.raises(ValueError, match=r"lacks \['rule', .*\] and has \['params', 'opt'\]"):
        opt.load_state_dict({"params": opt.params.state_dict(), "opt": opt.state_dict()})


@pytest.mark.parametrize("t", (-1, 2.5, "3", None, True, [1]), ids=repr)
def test_a_step_that_is_none_changes_nothing(t):
    opt = optim.Adam(tensors(start()))
    drive(opt, GRADS[:2])
    before = opt.state_dict()
    with pytest.raises(ValueError, match=r"t=.* of the saved state is not an integer from 0"):
        opt.load_state_dict({**before, "t": t})
    assert_same(opt.state_dict(), before)
