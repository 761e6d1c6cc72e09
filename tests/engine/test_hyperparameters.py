"""What a hyperparameter may be: a number, a schedule, an array; and what is refused."""

import inspect
import re

import numpy as np
import pytest

import optim
from minigrad import Parameters, Tensor, to_host
from optim.engine.kinds import kinds
from optim.engine.meant import MEANT
from optim.engine.settings import leaves
from optim.schedules import Constant, Exponential, InverseSqrt
from tests.driving import SIZE, drive, end, gradients, host_only, map_leaves, start, tensors
from tests.rules.table import TABLE, every_rule

GRADS = gradients(6)
NAN, MANY = float("nan"), np.full(SIZE, 0.1)
ONE_NEGATIVE = np.where(np.arange(SIZE) == 7, -0.1, 0.1)

BAD = [  # rule, argument, value, error, what else the message says
    ("sgd", "lr", -0.1, ValueError, "lr=-0.1 is outside [0, inf)"),
    ("sgd", "lr", NAN, ValueError, "lr=nan is outside [0, inf)"),
    ("sgd", "lr", float("inf"), ValueError, "lr=inf is outside [0, inf)"),
    ("sgd", "lr", "0.1", TypeError, "lr='0.1' is not a number"),
    ("sgd", "lr", None, TypeError, "lr=None is not a number"),
    ("sgd", "lr", 0.1j, TypeError, "lr=0.1j is not a number"),
    ("sgd", "lr", [0.1] * SIZE, TypeError, "a schedule or an array; give one, as 0.1, optim.sch"),
    ("sgd", "lr", (0.1, 0.1), TypeError, "lr=(0.1, 0.1): lr is one value; give one."),
    ("sgd", "lr", Constant, TypeError, "lr=Constant is a class; build one, with its arguments."),
    ("sgd", "lr", Constant(-0.1), ValueError, "lr=Constant(value=-0.1) is outside"),
    ("sgd", "lr", Constant("x"), TypeError, "lr='x' at step 1 is not a number"),
    ("sgd", "lr", ONE_NEGATIVE, ValueError, "lr=array("),
    ("sgd", "lr", MANY[1:], ValueError, "lr is an array of shape (47,)"),
    ("sgd", "lr", MANY[:1], ValueError, "lr is an array of shape (1,)"),
    ("sgd", "lr", MANY.reshape(4, 12), ValueError, "lr is an array of shape (4, 12)"),
    ("sgd", "lr", InverseSqrt(MANY[1:]), ValueError, "lr is an array of shape (47,)"),
    ("momentum", "momentum", 1.0, ValueError, "momentum=1.0 is outside [0, 1)"),
    ("momentum", "momentum", Exponential(1.5, 0.5), ValueError, "is outside [0, 1)"),  # at t = 1
    ("nesterov", "momentum", -0.5, ValueError, "momentum=-0.5 is outside"),
    ("rmsprop", "alpha", 1, ValueError, "alpha=1 is outside [0, 1)"),
    ("adadelta", "rho", 1.5, ValueError, "rho=1.5 is outside [0, 1]"),
    ("leakyamsgrad", "rho", 1.0 + 1e-9, ValueError, "rho=1.000000001 is outside [0, 1]"),
    ("leakyamsgrad", "rho", -0.1, ValueError, "rho=-0.1 is outside"),
    ("adam", "betas", (1.0, 0.9), ValueError, "betas=(1.0, 0.9) is outside [0, 1)"),
    ("adam", "betas", (0.9, 1.0), ValueError, "betas=(0.9, 1.0) is outside"),
    ("adam", "betas", (-0.1, 0.9), ValueError, "betas=(-0.1, 0.9) is outside"),
    ("adam", "betas", (0.9, NAN), ValueError, "betas=(0.9, nan) is outside"),
    ("adam", "betas", (0.9, Constant(1.0)), ValueError, "Constant(value=1.0)) is outside"),
    ("adam", "betas", (0.9, MANY[1:]), ValueError, "betas is an array of shape (47,)"),
    ("adam", "betas", 0.9, TypeError, "betas=0.9: betas is a tuple of two; give one."),
    ("adam", "betas", [0.9, 0.9], TypeError, "betas=[0.9, 0.9]: betas is a tuple of two"),
    ("adam", "betas", (0.9,), TypeError, "betas=(0.9,): betas is a tuple of two"),
    ("adam", "betas", (0.9, 0.9, 0.9), TypeError, "betas=(0.9, 0.9, 0.9): betas"),
    ("adam", "betas", (0.9, "x"), TypeError, "betas[1]='x' is not a number"),
    ("adam", "eps", -1e-8, ValueError, "eps=-1e-08 is outside [0, inf)"),
    ("adam", "eps", NAN, ValueError, "eps=nan is outside"),
    ("adam", "eps", Constant(0.1), TypeError, "eps=Constant(value=0.1): eps is one number"),
    ("adam", "eps", MANY, TypeError, "eps=array("),
    ("adam", "eps", 1e-310, ValueError, "eps=1e-310 underflows in float64"),
    ("adafactor", "d", 0, ValueError, "d=0 is outside (0, inf)"),
    ("adafactor", "decay_rate", MANY, ValueError, "decay_rate of Adafactor is one number"),
    ("soap", "betas", (0.9, Constant(MANY)), ValueError, "betas[1] of SOAP is one number"),
]
FIXED = [
    ("prodigy", "d0", 0, ValueError, "d0=0 is outside (0, inf)"),
    ("prodigy", "d0", MANY, TypeError, "d0 is one number"),
    ("dog", "r_eps", 0.0, ValueError, "r_eps=0.0 is outside (0, inf)"),
    ("dowg", "r_eps", MANY, TypeError, "r_eps is one number"),
]


@every_rule
def test_defaults(rule):
    assert rule.hyperparameters() == TABLE[rule].defaults
    opt = rule(tensors(start()))
    assert {name: getattr(opt, name) for name in rule.hyperparameters()} == rule.hyperparameters()


@every_rule
def test_help_says_what_one_must_know(rule):
    first, *rest = inspect.signature(rule).parameters.values()
    assert first.name == "params" and {p.kind for p in rest} == {inspect.Parameter.KEYWORD_ONLY}
    defaults = {p.name: p.default for p in rest}
    assert defaults == {"projection": None, "eager": False} | rule.hyperparameters()
    assert "lr" in defaults
    assert re.search(r"\b(19|20)\d\d\b", rule.__doc__), "its docstring names no source and year"


@pytest.mark.parametrize("rule, name, value, error, said", BAD)
def test_a_bad_value_is_refused_by_name_and_leaves_the_old_one(rule, name, value, error, said):
    x = tensors(start())
    with pytest.raises(error, match=re.escape(said)):
        optim.make(rule, x, **{name: value})
    opt, twin = optim.make(rule, x), optim.make(rule, tensors(start()))
    drive(opt, GRADS[:2])
    drive(twin, GRADS[:2])
    with pytest.raises(error, match=re.escape(said)):
        setattr(opt, name, value)
    assert repr(opt) == repr(twin)
    np.testing.assert_array_equal(drive(opt, GRADS[2:]), drive(twin, GRADS[2:]))


@pytest.mark.parametrize("rule, name, value, error, said", FIXED)
def test_a_bad_start_is_refused(rule, name, value, error, said):
    with pytest.raises(error, match=re.escape(said)):
        optim.make(rule, tensors(start()), **{name: value})


@every_rule
def test_each_may_be_an_array_or_says_that_it_is_one_number(rule):
    for name, default in rule.hyperparameters().items():
        kind = kinds(rule)[name]
        for i, (place, number) in enumerate(leaves(name, default)):
            if callable(number):
                continue
            one = kind[i] if isinstance(kind, tuple) else kind
            many = np.full(SIZE, float(number))
            setting = many
            if isinstance(default, tuple):
                setting = (*default[:i], many, *default[i + 1 :])
            if not one.array or one.whole:
                said = f"(?s){re.escape(place)}.* is one number|{name}=.* is not an? .*integer"
                with pytest.raises((TypeError, ValueError), match=said):
                    rule(tensors(start()), **{name: setting})
                continue
            rows = drive(rule(tensors(start()), **{name: setting}), GRADS)
            expected = drive(rule(tensors(start())), GRADS)
            np.testing.assert_allclose(rows, expected, rtol=1e-9, atol=1e-12, err_msg=place)


def test_an_array_is_copied_whatever_its_dtype():
    for dtype in ("float32", "float64"):
        lr = np.full(SIZE, 0.125, dtype)
        opt, twin = optim.SGD(tensors(start()), lr=lr), optim.SGD(tensors(start()), lr=0.125)
        drive(opt, GRADS[:1])
        lr[:] = 9
        drive(twin, GRADS[:1])
        np.testing.assert_array_equal(drive(opt, GRADS[1:]), drive(twin, GRADS[1:]))


def test_an_array_is_copied_before_the_first_step_and_for_good():
    lr, beta = np.full(SIZE, 0.125), np.full(SIZE, 0.5)
    opt = optim.AdamW(tensors(start()), lr=lr, betas=(beta, 0.9))
    twin = optim.AdamW(tensors(start()), lr=lr.copy(), betas=(beta.copy(), 0.9))
    for rows in (GRADS[:2], GRADS[2:]):
        lr[:], beta[:] = 9, 0
        np.testing.assert_array_equal(drive(opt, rows), drive(twin, rows))
        opt.weight_decay = twin.weight_decay = 0.1  # after which all are read again


def test_what_is_written_to_an_array_counts_from_the_next_step_on():
    opt = optim.AdamW(tensors(start()), lr=np.full(SIZE, 0.1), betas=(np.full(SIZE, 0.5), 0.9))
    twin = optim.AdamW(tensors(start()), lr=np.full(SIZE, 0.1), betas=(np.full(SIZE, 0.5), 0.9))
    drive(opt, GRADS[:2])
    drive(twin, GRADS[:2])
    opt.lr *= 0.1
    opt.betas[0][7] = 0.75
    np.testing.assert_array_equal(to_host(opt.used["lr"]), 0.1)  # as it was in the last step
    twin.lr = np.full(SIZE, 0.1) * 0.1
    twin.betas = (np.where(np.arange(SIZE) == 7, 0.75, 0.5), 0.9)
    np.testing.assert_array_equal(drive(opt, GRADS[2:4]), drive(twin, GRADS[2:4]))
    opt.lr[:] = twin.lr[:] = 0.3
    np.testing.assert_array_equal(to_host(opt.play(GRADS)), to_host(twin.play(GRADS)))
    np.testing.assert_array_equal(to_host(opt.used["lr"]), 0.3)


def test_what_is_written_to_the_array_of_a_wrapper_counts_too():
    opt = optim.DecoupledDecay(optim.SGD(tensors(start()), lr=0.5), np.zeros(SIZE))
    opt.weight_decay[7] = 1.0
    rows = drive(opt, np.zeros((2, SIZE)))
    np.testing.assert_array_equal(rows[-1], start() * np.where(np.arange(SIZE) == 7, 0.25, 1))


@host_only  # a device would have to be waited for
@pytest.mark.parametrize("value, said", ((-1.0, "is -1"), (np.nan, "is NaN"), (np.inf, "is inf")))
def test_what_is_written_to_an_array_must_be_in_its_range(value, said):
    opt = optim.SGD(tensors(start()), lr=np.full(SIZE, 0.1))
    rows = drive(opt, GRADS[:1])
    opt.lr[3] = value
    said = re.escape(f"lr {said} at step 2, outside [0, inf); set values that are inside.")
    with pytest.raises(ValueError, match=said):
        drive(opt, GRADS[1:2])
    with pytest.raises(ValueError, match=said):
        opt.play(GRADS[1:])
    np.testing.assert_array_equal(end(opt)["p"], rows[0])
    opt.lr[3] = 0.1
    drive(opt, GRADS[1:2])


@host_only
def test_a_box_keeps_its_ends():
    low = np.full(SIZE, -0.5)
    box = optim.Box(low, 0.5)
    low[:] = 9
    assert np.all(box.lo == -0.5)
    with pytest.raises(ValueError, match="read-only"):
        box.lo[0] = 0


@pytest.mark.parametrize("value", (None, "0.1", [0.1], (0.1,), b"x", 0.1j), ids=repr)
def test_a_schedule_that_gives_no_number_is_named_and_changes_nothing(value):
    opt = optim.SGD(tensors(start()), lr=lambda t: 0.1 if t < 2 else value)
    rows = drive(opt, GRADS[:1])
    with pytest.raises(TypeError, match=r"lr=.* at step 2 is not a number"):
        opt.step()
    np.testing.assert_array_equal(end(opt)["p"], rows[0])
    assert opt.t == 1


def test_a_count_may_be_a_whole_number_of_numpy():
    assert optim.AdaShift(tensors(start()), delay=np.int64(3)).delay == 3
    for delay in (np.int64(0), 2.0):
        with pytest.raises(ValueError, match="is not a positive integer"):
            optim.AdaShift(tensors(start()), delay=delay)
    for delay in ("3", None, lambda t: 3):
        with pytest.raises(TypeError, match="is not a positive integer"):
            optim.AdaShift(tensors(start()), delay=delay)


@pytest.mark.parametrize(
    "name, said", [("learning_rate", "known are lr, betas"), ("beta", "did you mean 'betas'")]
)
def test_what_no_rule_has_cannot_be_set(name, said):
    opt = optim.Adam(tensors(start()))
    with pytest.raises(AttributeError, match=f"Adam has no {name} to set; {said}"):
        setattr(opt, name, 0.1)


@host_only
def test_an_array_that_turns_nan_is_refused():
    for name, setting, said in (
        (
            "lr",
            lambda t: np.where(np.arange(SIZE) == 7 * (t - 1), np.nan, 0.1) if t > 1 else 0.1,
            "lr is NaN at step 2, outside [0, inf); mend the schedule.",
        ),
        (
            "betas",
            (0.9, lambda t: np.full(SIZE, np.nan if t > 1 else 0.9)),
            "betas[1] is NaN at step 2, outside [0, 1); mend the schedule.",
        ),
    ):
        opt = optim.Adam(tensors(start()), **{name: setting})
        rows = drive(opt, GRADS[:1])
        with pytest.raises(ValueError, match=re.escape(said)):
            opt.step()
        np.testing.assert_array_equal(end(opt)["p"], rows[0])


@pytest.mark.parametrize("eps", (1e-40, 1e-46, 1e-300))
def test_an_eps_that_underflows_is_refused_in_float32_only(eps):
    optim.Adam(tensors(start("float64")), eps=eps)
    with pytest.raises(ValueError, match=rf"eps={eps} underflows in float32; use 0.*1\.2e-38"):
        optim.Adam(tensors(start("float32")), eps=eps)
    opt = optim.Adam(tensors(start("float32")), eps=2e-38)
    with pytest.raises(ValueError, match="underflows in float32"):
        opt.eps = eps


@pytest.mark.parametrize("rule", ("amsgrad", "adam", "momentum", "rmspropmomentum", "leakyamsgrad"))
def test_zero_is_allowed_everywhere(rule):
    zeros = {name: 0 for name in optim.RULES[rule].hyperparameters()}
    if "betas" in zeros:
        zeros["betas"] = (0, 0)
    x0 = start()
    rows = drive(optim.make(rule, tensors(x0), **zeros), GRADS)
    np.testing.assert_array_equal(rows, np.tile(x0, (6, 1)))  # since lr = 0


def test_rho_may_be_1():
    assert optim.LeakyAMSGrad(tensors(start()), rho=1).rho == 1


@pytest.mark.parametrize(
    "same",
    [
        np.float64(0.125),
        np.float32(0.125),
        np.array(0.125),
        np.full(SIZE, 0.125),
        np.full(SIZE, 0.125, np.float32),
        lambda t: 0.125,
        Constant(0.125),
        Constant(np.full(SIZE, 0.125)),
        lambda t: np.full(SIZE, 0.125) if t % 2 else 0.125,
    ],
)
def test_numbers_schedules_and_arrays_mean_the_same(same):
    for rule in (optim.SGD, optim.AMSGradTorch):
        expected = drive(rule(tensors(start()), lr=0.125), GRADS)
        np.testing.assert_array_equal(drive(rule(tensors(start()), lr=same), GRADS), expected)


@pytest.mark.parametrize("give", (np.float32, lambda value: np.full(SIZE, value, np.float32)))
def test_scalars_are_computed_in_float64_whatever_they_come_in(give):
    for rule, names in ((optim.AMSGradKeras, ("lr", "betas")), (optim.RMSProp, ("lr", "alpha"))):
        near = {"lr": 0.1, "betas": (0.9, 0.999), "alpha": 0.999}
        single = {name: map_leaves(give, near[name]) for name in names}
        double = {
            name: map_leaves(lambda value: float(np.float32(value)), near[name]) for name in names
        }
        expected = drive(rule(tensors(start()), **double), GRADS)
        np.testing.assert_array_equal(drive(rule(tensors(start()), **single), GRADS), expected)
        scheduled = {name: map_leaves(Constant, value) for name, value in single.items()}
        np.testing.assert_array_equal(drive(rule(tensors(start()), **scheduled), GRADS), expected)


def test_a_whole_number_is_a_number():
    rows = drive(optim.SGD(tensors(start()), lr=2), GRADS)
    np.testing.assert_array_equal(rows, drive(optim.SGD(tensors(start()), lr=2.0), GRADS))


def test_a_schedule_is_asked_once_a_step_for_t_from_1():
    asked = []

    def lr(t):
        asked.append(t)
        return 0.5**t

    opt = optim.SGD(tensors(np.zeros(2), [(2,)]), lr=lr)
    asked.clear()  # it was checked at t = 1
    rows = drive(opt, np.ones((4, 2)))
    assert asked == [1, 2, 3, 4]
    np.testing.assert_array_equal(rows[:, 0], [-0.5, -0.75, -0.875, -0.9375])


def test_betas_may_be_schedules_one_by_one():
    decaying = Exponential(0.9, 0.5)
    rows = []
    for betas in ((decaying, 0.99), (decaying, Constant(0.99)), (decaying, np.full(SIZE, 0.99))):
        rows.append(drive(optim.Adam(tensors(start()), betas=betas), GRADS))
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])
    constant = drive(optim.Adam(tensors(start()), betas=(0.9, 0.99)), GRADS)
    assert not np.array_equal(rows[0][1], constant[1]) and np.array_equal(rows[0][0], constant[0])


def test_an_array_may_come_and_go_between_steps():
    opt, twin = (optim.SGD(tensors(start()), lr=0.1) for _ in range(2))
    for lr in (0.1, np.full(SIZE, 0.3), 0.2, Constant(np.full(SIZE, 0.4)), 0.1):
        opt.lr = lr
        twin.lr = float(np.mean(lr(1) if callable(lr) else lr))
        np.testing.assert_allclose(drive(opt, GRADS[:1]), drive(twin, GRADS[:1]), rtol=1e-15)


def test_assigning_a_schedule_starts_it_at_the_current_step():
    opt = optim.SGD(tensors(np.zeros(1), [(1,)]), lr=1.0)
    drive(opt, np.ones((3, 1)))
    opt.lr = InverseSqrt(4.0)
    assert drive(opt, np.ones((1, 1)))[0, 0] == -3 - 4.0 / 2


def test_eps_0_vanishes_beside_every_root_and_makes_0_over_0_no_step():
    for dtype, tiny in (("float32", 1e-15), ("float64", 1e-130)):
        x = Tensor(np.zeros(3), requires_grad=True, dtype=dtype)
        opt = optim.AMSGrad([x], lr=1.0, betas=(0.0, 0.75), eps=0)
        rows = drive(opt, [[0.0, tiny, -1.0]])
        np.testing.assert_allclose(rows[0], [0, -2, 2], rtol=2e-3)
        np.testing.assert_array_equal(end(opt)["m"][0], 0)
        assert opt.eps == 0 and "eps=0)" in repr(opt)


@pytest.mark.parametrize(
    "rule", ("adabelief", "acprop", "sm3", "shampoo", "dog", "adam", "dowg"), ids=str
)
def test_eps_0_vanishes_beside_squares_too(rule):
    rows, grads = [], np.where(GRADS == 0, 1, GRADS)
    for size in (1.0, 2.0**-300):
        opt = optim.make(rule, tensors(start()), eps=0)
        drive(opt, size * grads[:1])  # the first step of ACProp is one of SGD
        opt.params.load_state_dict(Parameters.of(tensors(start())).state_dict())
        rows.append(drive(opt, size * grads[1:]))
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-6)


def test_unknown_hyperparameters_are_type_errors():
    for name in ("learning_rate", "beta", "weight_decay"):
        with pytest.raises(TypeError, match=name):
            optim.make("adam", tensors(start()), **{name: 0.1})
    with pytest.raises(TypeError, match="positional"):
        optim.Adam(tensors(start()), 0.1)


def test_an_unknown_hyperparameter_is_named_beside_the_known():
    with pytest.raises(TypeError, match=r"AdamW\(params, .*weight_decay.*'decay'"):
        optim.AdamW(tensors(start()), decay=0.1)
    with pytest.raises(TypeError, match=r"Adam\(params.*missing.*'params'"):
        optim.Adam()
    with pytest.raises(TypeError, match=r"Linear\(start, end, steps\).*'steps'"):
        optim.schedules.Linear(0.1, 0.0)


def test_a_schedule_is_fixed():
    schedule = optim.schedules.Linear(0.1, 0.0, 5)
    with pytest.raises(AttributeError, match=r"end of Linear.*is fixed"):
        schedule.end = 0.2
    assert schedule == optim.schedules.Linear(start=0.1, end=0.0, steps=5)


@pytest.mark.parametrize(
    "rule, name, said",
    [
        ("adam", "amsgrad", "optim.AMSGradTorch and optim.AMSGradKeras are Adam with it"),
        ("adam", "weight_decay", r"optim.AdamW is Adam with it; optim.L2Decay\(.*DecoupledDecay"),
        ("nadam", "weight_decay", r"optim.NAdamW is NAdam with it; optim.L2Decay\("),
        ("momentum", "weight_decay", r"optim.SGDW is Momentum with it; optim.L2Decay\("),
        ("adagrad", "weight_decay", r"optim.L2Decay\("),
        ("nadam", "decoupled_weight_decay", r"optim.DecoupledDecay\("),
        ("sgd", "momentum", r"optim.Momentum is SGD with it"),
        ("adam", "momentum", "Adam and its like have it in betas"),
        ("rmsprop", "momentum", r"optim.RMSPropMomentum is RMSProp with it"),
        ("sgd", "nesterov", "optim.Nesterov is Momentum with it"),
        ("rmsprop", "centered", "optim.CenteredRMSProp is RMSProp with it"),
        ("adam", "maximize", r"optim.Maximize\(inner\)"),
        ("sgd", "clipnorm", r"optim.ClipNorm\(inner, norm\)"),
        ("adam", "fused", "leave it out"),
        ("adam", "beta", "did you mean 'betas'"),
        ("adam", "learning_rate", "known are lr, betas, eps"),
    ],
)
def test_a_setting_of_other_libraries_names_what_is_meant(rule, name, said):
    with pytest.raises(TypeError, match=rf"unexpected keyword argument '{name}'; .*{said}"):
        optim.make(rule, tensors(start()), **{name: 0.1})
    opt = optim.make(rule, tensors(start()))
    with pytest.raises(AttributeError, match=f"has no {name} to set; .*{said}"):
        setattr(opt, name, 0.1)


def test_what_is_meant_is_there():
    for cure in MEANT.values():
        assert all(hasattr(optim, name) for name in re.findall(r"optim\.(\w+)", cure))


@pytest.mark.parametrize("wrap", (list, tuple, lambda groups: groups[0]))
def test_groups_as_pytorch_has_them_name_those_of_here(wrap):
    groups = [{"params": tensors(start()), "lr": 0.1}]
    with pytest.raises(TypeError, match=r"params has groups .* optim.Groups.of\(optim.Adam, \[\("):
        optim.Adam(wrap(groups), lr=0.1)
