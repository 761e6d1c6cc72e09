"""What holds for every wrapper, and what torch and optax do."""

import gc
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest

import optim
from minigrad import Parameters, Tensor, to_host
from optim import (
    Accumulate,
    ClipNorm,
    ClipValue,
    DecoupledDecay,
    ExponentialAverage,
    Frozen,
    Groups,
    L2Decay,
    Lookahead,
    Maximize,
    PolyakAverage,
)
from optim.engine.optimizer import Optimizer, inplace
from optim.schedules import InverseSqrt
from optim.wrappers.base import Wrapper
from tests.driving import (
    SIZE,
    assert_identical,
    both_dtypes,
    cut_into,
    drive,
    end,
    feed,
    flat,
    host_only,
    start,
    tensors,
)
from tests.wrappers.cases import (
    CASES,
    GRADS,
    MASK,
    ONE,
    adam,
    assert_same,
    every_nesting,
    every_wrapper,
    two_groups,
    two_rules,
)

with np.load(Path(__file__).parents[1] / "oracles" / "wrappers.npz") as file:
    RECORDED = {name: file[name] for name in file.files}
X0, RECORDED_GRADS = RECORDED.pop("x0"), RECORDED.pop("grads")
AVERAGED = {"ema", "ema adamw", "polyak", "polyak late", "lookahead slow"}
HUGE = {"clip norm torch", "clip two groups"}


class TwoLooks(Optimizer):
    """Steps from the gradient where the first one leads, as extragradient does."""

    lr: float = 0.1
    needs_closure = True

    def move(self, loss, closure):
        before = [span.data.copy() for span in self.params.spans]
        super().move(loss, closure)
        closure()
        for span, data in zip(self.params.spans, before, strict=True):
            span.data[...] = data
        self.check_step()
        return super().move(loss, closure)

    @inplace
    def kernel(p, g, *, lr):
        p -= lr * g


del optim.RULES["twolooks"]  # it is nobody else's business


@pytest.mark.parametrize("name", RECORDED)
def test_follows_the_recorded_implementation(name):
    grads = RECORDED_GRADS * (1e8 if name in HUGE else 1)
    x = tensors(X0)
    opt = CASES[name](x)
    rows = []
    for g in grads:
        feed(x, g)
        opt.step()
        if name in AVERAGED:
            with opt.averaged():
                rows.append(flat(x))
        else:
            rows.append(flat(x))
    expected = RECORDED[name]
    assert np.max(np.abs(rows - expected) / np.maximum(1, np.abs(expected))) <= 1e-12


def test_every_case_is_recorded_and_every_wrapper_has_one():
    assert CASES.keys() == RECORDED.keys()
    opts = [make(tensors(X0)) for make in CASES.values()] + [two_rules(tensors(X0))]
    seen = set()
    for opt in opts:
        while isinstance(opt, Wrapper):
            seen.add(type(opt))
            opt = opt.inner
    assert seen == {type(wrap(adam(tensors(X0)))) for wrap in ONE.values()}


@both_dtypes
@pytest.mark.parametrize(
    "wrap",
    [
        lambda opt: Lookahead(opt, k=1, alpha=1),
        lambda opt: Lookahead(opt, k=4, alpha=1.0),
        lambda opt: Lookahead(opt, k=100),
        lambda opt: ClipNorm(opt, np.inf),
        lambda opt: ClipValue(opt, np.inf),
        lambda opt: ClipNorm(opt, 1e5),
        lambda opt: Accumulate(opt, 1),
        lambda opt: DecoupledDecay(opt, 0.0),
        lambda opt: L2Decay(opt, 0.0),
        lambda opt: Maximize(Maximize(opt)),
        lambda opt: Frozen(opt, np.zeros(SIZE, bool)),
        lambda opt: Frozen(opt, []),
        lambda opt: ExponentialAverage(opt),
        lambda opt: PolyakAverage(opt),
        lambda opt: Groups([opt]),
    ],
)
def test_what_does_nothing_is_the_inner(wrap, dtype):
    inner, opt = adam(tensors(start(dtype))), wrap(adam(tensors(start(dtype))))
    np.testing.assert_array_equal(drive(opt, GRADS), drive(inner, GRADS), strict=True)
    assert opt.t == inner.t == len(GRADS)
    np.testing.assert_array_equal(to_host(opt.metric()), to_host(inner.metric()))


@pytest.mark.parametrize("value", (None, 2.5, np.ones(1), Tensor(np.ones(2))), ids=repr)
@every_nesting
def test_a_closure_that_returns_no_loss_is_refused_before_anything_moves(make, value):
    opt = make(tensors(start()))
    drive(opt, GRADS[:2])  # so that the next step updates, also when accumulating
    before, saved = flat(opt.params), opt.state_dict()

    def closure():
        feed(opt.params, GRADS[2])
        return value

    with pytest.raises(TypeError, match=r"the closure returned .*; end it with `return loss`"):
        opt.step(closure)
    np.testing.assert_array_equal(flat(opt.params), before)
    assert_same(opt.state_dict(), saved)


@both_dtypes
@every_wrapper
def test_a_closure_or_none_is_the_same(wrap, dtype):
    first, second = (wrap(adam(tensors(start(dtype)))) for _ in range(2))
    calls = []
    for g in GRADS:
        drive(first, [g])

        def closure(g=g):
            calls.append(second.t)
            second.zero_grad()
            feed(second.params, g)
            return Tensor(float(len(calls)))

        assert second.step(closure).item() == len(calls)
    assert len(calls) == len(GRADS)
    assert_identical(end(first), end(second))


def test_a_rule_that_calls_its_closure_twice_has_every_gradient_edited():
    clipped = ClipValue(TwoLooks(tensors(start()), lr=0.5), 0.25)
    fixed = Frozen(Lookahead(TwoLooks(tensors(start())), k=1), MASK)
    calls = []
    for opt in (clipped, fixed):

        def closure(opt=opt):
            calls.append(opt)
            feed(opt.params, np.full(SIZE, 9.0))
            return Tensor(0.0)

        opt.step(closure)
    assert len(calls) == 4
    np.testing.assert_array_equal(flat(clipped.params), start() - 0.125)
    moved = start() - np.where(MASK, 0, 0.45)  # half-way
    np.testing.assert_allclose(flat(fixed.params), moved, rtol=0, atol=1e-15)
    for wrap in (ONE["accumulate"], ONE["decay"], lambda opt: Groups([opt])):
        with pytest.raises(TypeError, match=r"steps from gradients, but TwoLooks\(lr=0.1\)"):
            wrap(TwoLooks(tensors(start())))


@every_wrapper
def test_gradients_that_nobody_looked_at_are_zero_all_the_same(wrap):
    # zero_grad leaves the memory as it was where nobody holds the array
    ends = []
    for look in (False, True):
        x = tensors(start())
        opt = wrap(adam(x))
        if look:
            assert all(t.grad is not None for t in x)
        for t, g in zip([*x, *x], GRADS, strict=False):
            feed(x, g)
            opt.step()
            opt.zero_grad()
            (t * 7.0).sum().backward()
            opt.step()
        ends.append(end(opt))
    assert_identical(ends[0], ends[1])


@every_nesting
def test_blocks_and_runs_change_nothing(make, monkeypatch):
    rows = drive(make(tensors(start())), GRADS)
    cut_into(monkeypatch, 64)
    x = tensors(start())
    filler = Tensor(np.ones(3), requires_grad=True)
    Parameters.of([x[0], filler, *x[1:]])  # one arena, two runs
    np.testing.assert_allclose(drive(make(x), GRADS), rows, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(filler.numpy(), np.ones(3))


@every_nesting
def test_settings_are_read_and_set_through_every_layer(make):
    opt = make(tensors(start()))
    if isinstance(opt, Groups) or "Groups" in repr(opt):
        for act in (lambda: opt.lr, lambda: setattr(opt, "lr", 0.5)):
            with pytest.raises(AttributeError, match=r"Groups has no lr of its own; use groups\[i"):
                act()
        return
    rule = opt
    while isinstance(rule, Wrapper):
        rule = rule.inner
    assert opt.lr == 0.05 and opt.params is rule.params and opt.state is rule.state
    opt.lr, opt.betas = 0.25, (0.5, 0.5)
    assert rule.lr == opt.lr == 0.25 and rule.betas == (0.5, 0.5) and "lr" not in vars(opt)
    with pytest.raises(ValueError, match="lr=-1"):
        opt.lr = -1
    with pytest.raises(AttributeError, match="learning_rate"):
        opt.learning_rate = 1
    with pytest.raises(AttributeError, match="inner is fixed"):
        opt.inner = rule
    assert repr(rule) in repr(opt)


def test_own_settings_go_before_those_of_the_inner():
    opt = Lookahead(optim.RMSProp(tensors(start())), alpha=0.25)
    opt.alpha = 0.75
    assert (opt.alpha, opt.inner.alpha) == (0.75, 0.99)


@pytest.mark.parametrize("name", optim.RULES)
def test_every_rule_may_be_wrapped(name):
    def build(x0):
        return ONE["ema"](ONE["clip norm"](ONE["lookahead"](optim.make(name, tensors(x0)))))

    def advance(opt, steps):
        for _ in range(steps):

            def closure():
                opt.zero_grad()
                loss = sum(((t * t).sum() for t in opt.params), Tensor(0.0, dtype="float64"))
                loss.backward()
                return loss

            opt.step(closure)

    opt = build(start())
    advance(opt, 8)
    fresh = build(np.zeros(SIZE))
    fresh.params.load_state_dict(opt.params.state_dict())
    fresh.load_state_dict(opt.state_dict())
    advance(opt, 4)
    advance(fresh, 4)
    assert_identical(end(fresh), end(opt))
    assert_same(fresh.state_dict(), opt.state_dict())
    assert np.any(flat(opt.params) != start())


def adam_(**settings):
    return adam(tensors(start()), **settings)


@pytest.mark.parametrize(
    "build, error, said",
    [
        (lambda: Lookahead([]), TypeError, r"inner of Lookahead is \[\], not an optimizer; build"),
        (lambda: Lookahead(optim.Adam), TypeError, "inner of Lookahead is <class"),
        (lambda: Groups([3]), TypeError, r"groups\[0\] is 3, not an optimizer"),
        (lambda: Groups([]), ValueError, "no parameters"),
        (lambda: Groups([a := adam_(), a]), ValueError, r"1.params\[0\] is the same tensor as 0"),
        (lambda: Lookahead(adam_(), k=0), ValueError, "k=0 is not a positive integer; give one"),
        (lambda: Lookahead(adam_(), k=2.5), ValueError, r"k=2.5 is not a positive integer"),
        (lambda: Lookahead(adam_(), k="5"), TypeError, r"k='5' is not a positive integer"),
        (lambda: Lookahead(adam_(), k=None), TypeError, r"k=None is not a positive integer"),
        (
            lambda: Lookahead(adam_(), alpha=1.5),
            ValueError,
            r"alpha=1.5 is outside \[0, 1\]; choose one inside",
        ),
        (lambda: Lookahead(adam_(), alpha="1"), TypeError, "alpha='1': alpha is one number"),
        (
            lambda: Lookahead(adam_(), alpha=InverseSqrt(0.5)),
            TypeError,
            r"alpha=InverseSqrt\(.*: alpha is one number",
        ),
        (
            lambda: ExponentialAverage(adam_(), 1.0),
            ValueError,
            r"decay=1.0 is outside \[0, 1\); choose",
        ),
        (lambda: ExponentialAverage(adam_(), -0.1), ValueError, "decay=-0.1"),
        (lambda: ExponentialAverage(adam_(), np.nan), ValueError, "decay=nan"),
        (lambda: PolyakAverage(adam_(), -1), ValueError, "start=-1 is not an integer from 0"),
        (lambda: ClipNorm(adam_(), 0.0), ValueError, r"norm=0.0 is outside \(0, inf\]; choose"),
        (lambda: ClipNorm(adam_(), np.nan), ValueError, r"norm=nan is outside \(0, inf\]"),
        (lambda: ClipValue(adam_(), -1), ValueError, r"value=-1 is outside \(0, inf\]"),
        (lambda: Accumulate(adam_(), 0), ValueError, "every=0 is not a positive integer"),
        (lambda: DecoupledDecay(adam_(), -0.1), ValueError, "weight_decay=-0.1"),
        (lambda: L2Decay(adam_(), -0.1), ValueError, "weight_decay=-0.1"),
        (lambda: L2Decay(adam_(), np.ones(3)), ValueError, r"weight_decay .* \(3,\).* 48"),
        (
            lambda: L2Decay(optim.LBFGS(tensors(start())), 0.1),
            TypeError,
            r"L2Decay steps from gradients, but LBFGS.* asks for a closure",
        ),
        (
            lambda: Groups.of(optim.Adam, [{"params": tensors(start()), "lr": 0.1}]),
            TypeError,
            r"groups\[0\] is a dict; give a pair, as \(params, \{'lr': 0.1\}\)",
        ),
        (lambda: DecoupledDecay(adam_(), np.ones(3)), ValueError, r"weight_decay .* \(3,\).* 48"),
        (
            lambda: DecoupledDecay(two_groups(tensors(start())), 0.1),
            TypeError,
            r"inner=Groups\(.* has no lr of its own",
        ),
        (lambda: Frozen(adam_(), MASK[:5]), ValueError, r"mask is of shape \(5,\); .* 48 bools"),
        (lambda: Frozen(adam_(), np.ones(SIZE)), TypeError, "mask=array.*: give names"),
        (lambda: Frozen(adam_(), "params[1]"), TypeError, r"mask='params\[1\]': give names"),
        (lambda: Frozen(adam_(), ["param[1]"]), ValueError, r"'param\[1\]', .* mean 'params\[1\]'"),
        (lambda: setattr(Lookahead(adam_()), "k", -2), ValueError, "k=-2"),
        (lambda: setattr(Frozen(adam_(), MASK), "mask", MASK), AttributeError, "mask is fixed"),
    ],
)
def test_misuse_says_what_and_how_to_mend_it(build, error, said):
    with pytest.raises(error, match=said):
        build()


@every_wrapper
def test_a_decayed_or_restored_weight_is_noticed(wrap):
    opt = wrap(adam(tensors(start())))
    for g in GRADS[:3]:  # the third of which updates, also when accumulating
        loss = (opt.params.tensors[1] ** 2).sum()
        before = flat(opt.params)
        drive(opt, [g])
        if np.any(flat(opt.params) != before):
            with pytest.raises(RuntimeError, match="changed after it was used"):
                loss.backward()


@every_wrapper
def test_a_wrapper_is_freed_by_reference_counts_alone(wrap):
    gc.disable()
    try:
        opt = wrap(adam(tensors(start())))
        drive(opt, GRADS[:4])
        gone = weakref.ref(opt)
        del opt
        assert gone() is None
    finally:
        gc.enable()


@every_wrapper
def test_a_wrapper_is_not_played(wrap):
    with pytest.raises(TypeError, match="is not played, nor is a rule without it; call step"):
        wrap(adam(tensors(start()))).play(GRADS)


def test_a_rule_or_wrapper_with_a_step_of_its_own_is_not_passed_over():
    class Own(Lookahead):
        def step(self, closure=None):
            return None

    with pytest.raises(
        TypeError, match=r"ClipNorm, Own, has a step\(\) of its own, .* override move"
    ):
        ClipNorm(Own(adam(tensors(start()))), 1.0)


@every_wrapper
@host_only
def test_a_step_allocates_nothing_that_grows_with_the_parameters(wrap):
    x = [Tensor(np.ones(2**20, np.float32), requires_grad=True) for _ in range(5)]
    Parameters.of(x)
    inner = optim.SGD(x[:2] + x[3:])  # two runs
    opt = Frozen(inner, ["params[1]"]) if wrap is ONE["frozen"] else wrap(inner)
    for t in inner.params:
        t.grad.fill(0.5)
    tracemalloc.start()
    try:
        for _ in range(3):
            opt.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6  # one array of the size of the parameters has 17e6
