"""Threads that share a pass: that they do, what they raise, and what they survive."""

import os
import subprocess
import sys
import threading
from typing import ClassVar

import numpy as np
import pytest

import optim
from minigrad import Tensor
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.threads import MOST_THREADS, allowed_threads
from tests.driving import cut_into, flat, host_only, tensors

pytestmark = host_only


class Meeting(Optimizer):
    """In the first block that it takes, every thread waits until all the expected ones are there;
    then those that are meant to multiply numbers that overflow."""

    lr: float = 1.0
    expected = threading.Barrier(1)
    seen: ClassVar[set[threading.Thread]] = set()
    overflows = staticmethod(lambda thread: False)

    @inplace
    def kernel(p, g, *, lr):
        float(lr)  # a look, so that it is called on every block, not recorded
        thread = threading.current_thread()
        if thread not in Meeting.seen:
            Meeting.seen.add(thread)
            Meeting.expected.wait(timeout=30)
        if Meeting.overflows(thread):
            g * 1e200 * 1e200
        p -= lr * g


del optim.RULES["meeting"]  # it is nobody else's business


def meet(size, threads):
    """An optimizer of one tensor of ones, with gradients of one, that expects so many threads."""
    [x] = tensors(np.ones(size), [(size,)])
    opt = Meeting([x])
    x.grad = np.ones(size)
    Meeting.seen, Meeting.expected = set(), threading.Barrier(threads)
    return opt


@pytest.fixture
def threads(monkeypatch):
    """Blocks of four float64 coordinates, for three threads."""
    cut_into(monkeypatch, 32)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")


@pytest.mark.parametrize("size, expected", [(64, 3), (24, 3), (23, 2), (16, 2), (15, 1)])
def test_as_many_threads_as_have_two_blocks_each(size, expected, threads):
    opt = meet(size, expected)
    opt.step()
    assert len(Meeting.seen) == expected
    np.testing.assert_array_equal(flat(opt.params), np.zeros(size))


@pytest.mark.parametrize("here, failing", [(True, 1), (False, 2)])
def test_overflow_in_any_thread_is_an_error_once_all_have_ended(
    here, failing, threads, monkeypatch
):
    monkeypatch.setattr(
        Meeting, "overflows", lambda thread: here == (thread is threading.main_thread())
    )
    opt = meet(64, 3)
    with pytest.raises(FloatingPointError, match=r"Meeting.* at step 1: overflow"):
        opt.step()
    assert (flat(opt.params) == 0).sum() == 64 - 4 * failing  # the others took the rest


def test_an_error_leaves_the_threads_usable(threads, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(Meeting, "overflows", lambda thread: True)
        with pytest.raises(FloatingPointError):
            meet(64, 3).step()
    test_as_many_threads_as_have_two_blocks_each(64, 3, threads)


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
