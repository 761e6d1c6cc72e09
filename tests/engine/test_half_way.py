"""What breaks off half-way is refused until a state from before is loaded."""

import numpy as np
import pytest

import optim
from optim.engine.optimizer import Optimizer
from tests.driving import drive, feed, flat, gradients, host_only, start, tensors
from tests.rules.table import every_rule
from tests.wrappers.cases import ONE, adam, assert_same, every_nesting, every_wrapper

GRADS = gradients(9)
SAID = "a step or a load of .* broke off half-way.*; load both from before, or build another"


class Breaks:
    """Breaks off a step before or after its k-th pass."""

    def __init__(self, monkeypatch):
        self.left, self.after, apply = np.inf, False, Optimizer.apply

        def broken(opt, name, **given):
            self.left -= 1
            if self.left == 0 and not self.after:
                raise KeyboardInterrupt
            apply(opt, name, **given)
            if self.left == 0:
                raise KeyboardInterrupt

        monkeypatch.setattr(Optimizer, "apply", broken)

    def step(self, opt, g, k, after):
        """Whether a step with gradient g was broken off."""
        self.left, self.after = k, after
        feed(opt.params, g)
        try:
            opt.step()
        except KeyboardInterrupt:
            return True
        finally:
            self.left = np.inf
        return False


@pytest.fixture
def breaks(monkeypatch):
    return Breaks(monkeypatch)


def assert_refuses(opt):
    g, p = GRADS[-1], flat(opt.params)
    feed(opt.params, g)
    for act in (opt.step, opt.state_dict):
        with pytest.raises(RuntimeError, match=SAID):
            act()
    np.testing.assert_array_equal(flat(opt.params), p)


def assert_breaks_off(make, breaks):
    opt, twin = make(tensors(start())), make(tensors(start()))
    for g in GRADS[:2]:
        drive(opt, [g])
        drive(twin, [g])
    saved, p = twin.state_dict(), twin.params.state_dict()
    broken = 0
    for after in (False, True):
        for k in range(1, 9):
            if not breaks.step(opt, GRADS[2], k, after):
                break
            broken += 1
            try:
                state = opt.state_dict()
            except RuntimeError:
                assert_refuses(opt)
            else:
                assert_same(state, saved)
                np.testing.assert_array_equal(flat(opt.params), flat(twin.params))
            opt.params.load_state_dict(p)
            opt.load_state_dict(saved)
            assert_same(opt.state_dict(), saved)
        else:
            continue
        opt.params.load_state_dict(p)
        opt.load_state_dict(saved)
    np.testing.assert_array_equal(drive(opt, GRADS[2:]), drive(twin, GRADS[2:]))
    assert_same(opt.state_dict(), twin.state_dict())
    return broken


@every_rule
def test_a_rule_after_each_of_its_passes(rule, breaks):
    assert assert_breaks_off(rule, breaks) >= 2


@every_nesting
def test_wrappers_around_it(make, breaks):
    assert_breaks_off(make, breaks)


@every_wrapper
def test_a_wrapper_that_breaks_off_itself(wrap):
    """In its own part of a step, before the inner moves or after."""
    opt = wrap(adam(tensors(start())))
    drive(opt, GRADS[:2])
    own = [name for name in ("update_average", "_add", "_mean", "_shrink") if hasattr(opt, name)]
    saved, p = opt.state_dict(), opt.params.state_dict()
    for name in own:

        def broken(*_):
            raise KeyboardInterrupt

        if name == "_add":
            drive(opt, GRADS[2:3])
        vars(opt)[name] = broken
        feed(opt.params, GRADS[3])
        with pytest.raises(KeyboardInterrupt):
            opt.step()
        del vars(opt)[name]
        if name != "_mean":  # which writes to gradients alone
            assert_refuses(opt)
        opt.params.load_state_dict(p)
        opt.load_state_dict(saved)
        assert_same(opt.state_dict(), saved)


def test_groups_of_which_one_has_moved():
    opt = optim.Groups([adam((x := tensors(start()))[:2]), adam(x[2:])])
    drive(opt, GRADS[:1])
    saved, p = opt.state_dict(), opt.params.state_dict()
    opt[1].move = None
    feed(opt.params, GRADS[1])
    with pytest.raises(TypeError):
        opt.step()
    assert_refuses(opt)
    del vars(opt[1])["move"]
    opt.params.load_state_dict(p)
    opt.load_state_dict(saved)
    drive(opt, GRADS[1:])


def test_a_state_that_does_not_fit_mends_nothing(breaks):
    opt = ONE["ema"](adam(tensors(start())))
    saved = opt.state_dict()
    assert breaks.step(opt, GRADS[0], 1, True)
    with pytest.raises(ValueError, match="lacks"):
        opt.load_state_dict({**saved, "state": {}})
    assert_refuses(opt)
    opt.load_state_dict(saved)
    drive(opt, GRADS)


def test_a_load_that_breaks_off(monkeypatch):
    opt = ONE["ema"](adam(tensors(start())))
    drive(opt, GRADS[:2])
    saved = opt.state_dict()
    with monkeypatch.context() as patched:

        def broken(*_):
            raise KeyboardInterrupt

        patched.setattr(type(opt), "_set", broken)
        with pytest.raises(KeyboardInterrupt):
            opt.load_state_dict(saved)
    assert_refuses(opt)
    opt.load_state_dict(saved)
    assert_same(opt.state_dict(), saved)


@host_only
def test_an_overflow_half_way():
    opt = optim.Momentum(tensors(start("float32")), lr=1e30)
    drive(opt, GRADS[:1] * 1e-30)
    saved = opt.state_dict()
    opt.state["b"][-1] = 3e38
    feed(opt.params, GRADS[1])
    with pytest.raises(FloatingPointError, match="at step 2: overflow"):
        opt.step()
    assert_refuses(opt)
    opt.load_state_dict(saved)
    opt.state_dict()


def test_another_optimizer_may_begin_there(breaks):
    x = tensors(start())
    opt = adam(x)
    assert breaks.step(opt, GRADS[0], 1, True)
    drive(adam(x), GRADS)


def test_an_interrupt_before_anything_is_written_counts_no_step():
    opt = adam(tensors(start()))
    drive(opt, GRADS[:1])
    saved, used = opt.state_dict(), opt.used

    def interrupted():
        raise KeyboardInterrupt

    opt.params.mark_changed = interrupted
    feed(opt.params, GRADS[1])
    with pytest.raises(KeyboardInterrupt):
        opt.step()
    assert_same(opt.state_dict(), saved)
    assert opt.used == used
