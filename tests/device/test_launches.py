"""What a training step costs on a GPU: kernels launched, arrays moved, waits for the device."""

import numpy as np
import pytest

import optim
from minigrad import Parameters, Tensor, backend, no_grad, to_host
from models import MLP, LogisticRegression
from optim.engine.kinds import kinds
from optim.engine.optimizer import Optimizer
from tests.device import strict
from tests.device.strict import counting
from tests.driving import SIZE, both_dtypes, drive, feed, flat, gradients, start, tensors
from tests.rules.table import TABLE, every_flat_rule, every_rule

ELEMENTWISE = [
    rule
    for rule in TABLE
    if rule.passes == ("kernel",) and rule.update is Optimizer.update
    if not (rule.per_tensor or rule.after_projection)
]
every_elementwise_rule = pytest.mark.parametrize("rule", ELEMENTWISE, ids=lambda r: r.__name__)
TWO_PASSES = (optim.ASGD, optim.ScheduleFreeSGD, optim.ScheduleFreeAdamW)
REDUCING = {optim.AdaGradNorm: 4, optim.AvaGrad: 8, optim.Prodigy: 8}  # in float64
REDUCING |= {optim.DoG: 7, optim.DoWG: 7, optim.DAdaptAdam: 10}
SUMS = {rule: len(rule.given) for rule in REDUCING}  # which float32 takes a launch to convert
OF_A_STEP = {1: 28, 2: 37, 3: 46}  # launches of a whole step, by the number of linear maps


@pytest.fixture(autouse=True)
def on_the_stand_in():
    with backend.temporarily(strict.make()):
        yield


def in_two_runs(dtype="float32"):
    """Every other tensor of an arena."""
    every = tensors(start(dtype))
    Parameters.of(every)
    return [every[0], every[1], every[3]]


def costs_of_a_step(opt):
    """What a step costs once all is compiled; gradients are there already."""
    for g in gradients(4, size=opt.params.size):
        feed(opt.params, g)
        with counting() as counted:
            opt.step()
    return dict(counted)


@every_elementwise_rule
@both_dtypes
def test_a_step_is_one_launch_for_each_contiguous_run(rule, dtype):
    assert costs_of_a_step(rule(tensors(start(dtype)))) == {"launches": 1}
    assert costs_of_a_step(rule(in_two_runs(dtype))) == {"launches": 2}
    boxed = rule(tensors(start(dtype)), projection=optim.Box(-0.5, 0.5))
    assert costs_of_a_step(boxed) == {"launches": 1}


def test_most_rules_are_elementwise():
    assert len(ELEMENTWISE) >= 37


def test_array_hyperparameters_move_once():
    rates = np.linspace(0.1, 0.9, SIZE)
    opt = optim.AMSGrad(tensors(start()), lr=rates, betas=(rates, 0.99))
    assert set(costs_of_a_step(opt)) == {"launches"}


@every_flat_rule
@both_dtypes
def test_an_array_of_rates_moves_nothing_later_and_gives_the_numbers_of_numpy(rule, dtype):
    if not kinds(rule)["lr"].array:
        pytest.skip("takes one rate for all")

    def run():
        return drive(made(), gradients(5))

    def made():
        return rule(tensors(start(dtype)), lr=np.linspace(1e-3, 1e-2, SIZE))

    assert set(costs_of_a_step(made())) == {"launches"}
    there = run()
    with backend.temporarily(backend.Backend(block_bytes=None)):
        np.testing.assert_array_equal(there, run())


@pytest.mark.parametrize("rule", [*TWO_PASSES, *REDUCING], ids=lambda rule: rule.__name__)
@both_dtypes
def test_rules_of_several_passes_launch_a_few_kernels(rule, dtype):
    sums = SUMS.get(rule, 0) if dtype == "float32" else 0
    costs = costs_of_a_step(rule(tensors(start(dtype))))
    assert costs == {"launches": REDUCING.get(rule, 2) + sums}


@pytest.mark.parametrize("rule", REDUCING, ids=lambda rule: rule.__name__)
def test_sums_over_many_coordinates_launch_no_more(rule):
    opt = rule([Tensor(np.ones(100_000), requires_grad=True)])
    assert costs_of_a_step(opt) == {"launches": REDUCING[rule]}


def test_a_norm_of_many_coordinates_launches_no_more():
    few, many = (
        costs_of_a_step(optim.ClipNorm(optim.SGD([Tensor(np.ones(n), requires_grad=True)]), 1.0))
        for n in (100, 100_000)
    )
    assert many == few


@every_rule
@both_dtypes
def test_no_rule_moves_anything_or_waits_in_a_step(rule, dtype):
    opt = rule(tensors(start(dtype)))
    assert set(costs_of_a_step(opt)) == {"launches"}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: optim.ClipNorm(optim.SGD(x), 1.0),
        lambda x: optim.ClipValue(optim.SGD(x), 1.0),
        lambda x: optim.Accumulate(optim.SGD(x), 2),
        lambda x: optim.DecoupledDecay(optim.SGD(x), 0.1),
        lambda x: optim.ExponentialAverage(optim.SGD(x)),
        lambda x: optim.PolyakAverage(optim.SGD(x)),
        lambda x: optim.Lookahead(optim.SGD(x), k=1),
        lambda x: optim.Frozen(optim.SGD(x), ["params[1]"]),
        lambda x: optim.Groups([optim.SGD(x[:2]), optim.Adam(x[2:])]),
    ],
)
def test_no_wrapper_moves_anything_or_waits_in_a_step(wrap):
    assert set(costs_of_a_step(wrap(tensors(start())))) == {"launches"}


@pytest.mark.parametrize("rule", [optim.PolyakSGD, optim.SAM, optim.Sophia])
def test_rules_with_a_closure_move_at_most_signs_and_wait_for_nothing(rule):
    x = Tensor(start(), requires_grad=True)
    opt = rule([x])

    def closure():
        opt.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    opt.step(closure)  # in which Sophia draws signs
    with counting() as counted:
        opt.step(closure)
    assert set(counted) == {"launches"}


@every_rule
@both_dtypes
def test_the_numbers_are_those_of_numpy(rule, dtype):
    def run():
        opt = rule(tensors(start(dtype)))
        return drive(opt, gradients(5)), {n: to_host(a) for n, a in opt.state.items()}

    there, state = run()
    with backend.temporarily(backend.Backend(block_bytes=None)):
        here, expected = run()
    np.testing.assert_array_equal(there, here)
    for name, array in expected.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


def batches(steps=3, n=16, features=8, classes=4):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps, n, features)).astype("float32")
    return backend.xp.asarray(x), backend.xp.asarray(rng.integers(0, classes, (steps, n)))


def train(model, opt, x, y, costs=None):
    """The losses on the device, and what the last step cost."""
    losses = []
    for inputs, labels in zip(x, y, strict=True):
        with counting() as counted:
            opt.zero_grad()
            loss = model.loss(inputs, labels)
            loss.backward()
            opt.step()
        losses.append(loss)
    return losses, counted


@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)], ids=lambda h: f"{len(h) + 1} linear maps")
def test_a_training_step_neither_moves_nor_waits(hidden, capsys):
    model = MLP([8, *hidden, 4], rng=0)
    opt = optim.AMSGrad(model.parameters())
    losses, counted = train(model, opt, *batches())
    with capsys.disabled():
        print(f"\n{len(hidden) + 1} linear maps: {counted['launches']} launches a step")
    assert dict(counted) == {"launches": OF_A_STEP[len(hidden) + 1]}
    with counting() as counted:
        recorded = [loss.item() for loss in losses]
    assert dict(counted) == {"synchronizations": len(recorded)}


def test_a_model_trains_to_the_numbers_of_numpy():
    def run(make):
        model = make()
        opt = optim.AdamW(model.parameters())
        losses, _ = train(model, opt, *batches())
        with no_grad():
            logits = model(batches()[0][0])
        return [loss.item() for loss in losses], flat(model.parameters()), logits.numpy()

    for make in (
        lambda: MLP([8, 6, 4], "tanh", rng=0),
        lambda: MLP([8, 6, 5, 4], rng=0),
        lambda: LogisticRegression(8, 4, rng=0),
    ):
        there = run(make)
        with backend.temporarily(backend.Backend()):
            here = run(make)
        for got, expected in zip(there, here, strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("shape", [(8,), (1, 8), (16, 1)])
def test_a_broadcast_is_undone_in_one_launch(shape):
    b = Tensor(np.ones(shape), requires_grad=True)
    b.grad = np.zeros(shape)
    out = b + backend.xp.ones((16, 8))
    with counting() as counted:
        out.backward(backend.xp.ones((16, 8)))
    assert dict(counted) == {"launches": 3}  # asarray, the sum, and adding it to the gradient


def test_models_move_what_they_are_given():
    model = MLP([8, 6, 4], rng=0)
    with counting() as counted:
        loss = model.loss(np.ones((2, 8), "float32"), np.array([0, 3]))
    assert counted["to_device"] == 2 and not counted["to_host"] and not counted["synchronizations"]
    assert np.isfinite(loss.item())


def test_moving_is_explicit():
    t = Tensor(start(), requires_grad=True)
    with counting() as counted:
        opt = optim.Adam([t])
        feed([t], np.ones(t.size))
    assert counted["to_host"] == counted["synchronizations"] == 0 and counted["to_device"] == 1
    with counting() as counted:
        saved = opt.state_dict()
    assert dict(counted) == {"to_host": 2, "synchronizations": 2}  # m and v
    with counting() as counted:
        opt.load_state_dict(saved)
    assert counted["to_device"] == 2 and not counted["synchronizations"]
    assert type(opt.params.state_dict()["params[0]"]) is np.ndarray


@pytest.mark.parametrize(
    "rule, there, here",
    [
        (optim.Adam, set(), {"beta1_t", "beta2_t"}),
        (optim.AdaGradNorm, {"s"}, set()),
        (optim.Prodigy, {"d", "r"}, set()),
    ],
)
def test_numbers_lie_where_they_come_from_also_when_they_are_loaded(rule, there, here):
    saved = None
    for _ in range(2):
        opt = rule(tensors(start()))
        if saved:
            opt.load_state_dict(saved)
        for _ in range(2):
            assert {n for n in there | here if type(opt.state[n]) is strict.Array} == there
            assert {opt.state[n].dtype for n in there | here} == {np.dtype("float64")}
            feed(opt.params, gradients(1)[0])
            opt.step()
        saved = opt.state_dict()
        assert {type(saved["state"][n]) for n in there | here} == {np.ndarray}
