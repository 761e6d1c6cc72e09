"""Threads that share a pass: that they do, what they raise, and what they survive."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import optim
from minigrad import Tensor, backend
from optim.engine import playback
from optim.engine.functions import numpy_function
from optim.engine.threads import MOST_THREADS, allowed_threads, share
from tests.driving import cut_into, flat, host_only, tensors

pytestmark = host_only
calls_numpy = pytest.mark.skipif(
    backend.current().compiles, reason="looks at the calls of NumPy that a pass makes"
)


class Meeting:
    """In the first block that it takes, every thread waits until all the expected ones are there;
    then those that are meant to find a gradient that overflows."""

    def __init__(self, size, expected):
        self.expected, self.seen = threading.Barrier(expected), set()
        [x] = tensors(np.ones(size), [(size,)])
        self.opt = optim.SGD([x], lr=1e3)
        self.opt.params.grad.fill(1e-3)

    def overflows(self, thread):
        return False

    def function(self, name, *namespace):
        """What a pass makes its calls with, in place of NumPy's function of that name."""
        function = numpy_function(name, *namespace)

        def meet(*arguments):
            thread = threading.current_thread()
            if thread not in self.seen:
                self.seen.add(thread)
                self.expected.wait(timeout=30)
            if name == "multiply" and self.overflows(thread):
                arguments[1][...] = 1e308  # the gradient, times lr
            function(*arguments)

        return meet


@pytest.fixture
def meet(monkeypatch):
    """Makes an SGD of ones whose step subtracts ones, in blocks of four float64 coordinates, for
    three threads of which so many are expected."""
    cut_into(monkeypatch, 32)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    def made(size, expected):
        meeting = Meeting(size, expected)
        monkeypatch.setattr(playback, "numpy_function", meeting.function)
        return meeting

    return made


@calls_numpy
@pytest.mark.parametrize("size, expected", [(64, 3), (24, 3), (23, 2), (16, 2), (15, 1)])
def test_as_many_threads_as_have_two_blocks_each(size, expected, meet):
    meeting = meet(size, expected)
    meeting.opt.step()
    assert len(meeting.seen) == expected
    np.testing.assert_array_equal(flat(meeting.opt.params), np.zeros(size))


@calls_numpy
@pytest.mark.parametrize("here, failing", [(True, 1), (False, 2)])
def test_overflow_in_any_thread_is_an_error_once_all_have_ended(here, failing, meet):
    meeting = meet(64, 3)
    meeting.overflows = lambda thread: here == (thread is threading.main_thread())
    with pytest.raises(FloatingPointError, match=r"SGD.* at step 1: overflow"):
        meeting.opt.step()
    # the others took the rest
    assert (flat(meeting.opt.params) == 0).sum() == 64 - 4 * failing


@calls_numpy
def test_an_error_leaves_the_threads_usable(meet):
    meeting = meet(64, 3)
    meeting.overflows = lambda thread: True
    with pytest.raises(FloatingPointError):
        meeting.opt.step()
    test_as_many_threads_as_have_two_blocks_each(64, 3, meet)


def test_an_interrupt_waits_for_the_other_threads():
    done, begun_with, begun = [], [], threading.Event()

    def other(blocks):
        for block in blocks:
            begun.set()
            time.sleep(0.01)
            yield done.append(block)

    def mine(blocks):
        assert begun.wait(timeout=30)
        done.append(next(blocks))
        yield
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        share([mine, other], range(9), begun_with.append)
    assert sorted(done) == list(range(9)) and begun_with[0]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
@pytest.mark.parametrize("threads", (1, 3))
@calls_numpy
def test_a_signal_is_heard_between_passes_not_within(threads, monkeypatch):
    cut_into(monkeypatch, 2**14)
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    outer = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for k in range(8):
            [x] = tensors(np.zeros(2**20), [(2**20,)])
            opt = optim.Adam([x], lr=1.0)
            x.grad = np.ones(2**20)
            opt.step()
            before = flat([x])
            try:
                signal.setitimer(signal.ITIMER_REAL, 2e-3 * (k + 1))
                opt.step()
                time.sleep(1)
            except KeyboardInterrupt:
                pass
            moved = (flat([x]) < before - 0.5).mean()
            assert moved in (0, 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own():
    code = """
import os, signal, numpy as np, optim
from minigrad import Tensor
x = Tensor(np.zeros(2**20), requires_grad=True)
opt = optim.SGD([x], lr=1.0)
x.grad = np.ones(2**20)
assert opt._passes["kernel"].threads == 2
opt.step()
child = os.fork()
if not child:
    signal.alarm(20)  # or it would wait for ever for threads that it has not
opt.step()
if child:
    assert os.waitpid(child, 0)[1] == 0
assert (x.data == -2).all()
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


def test_how_many_are_allowed(monkeypatch):
    for given, expected in (("1", 1), ("2", 2), ("64", MOST_THREADS), ("2,4", 2), ("0", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert allowed_threads() == expected
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("OMP_NUM_THREADS")
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", unset)
        assert 1 <= allowed_threads() <= MOST_THREADS
    monkeypatch.setenv("OMP_NUM_THREADS", "all")
    with pytest.raises(ValueError, match="OMP_NUM_THREADS='all' is no number of threads"):
        optim.SGD([Tensor(np.ones(1), requires_grad=True)])
