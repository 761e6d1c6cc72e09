"""Threads that share a pass: that they do, what they raise, and what they survive."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from driving import cut_into, flat, host_only, start, tensors

import optim
from minigrad import Tensor
from optim.blocks import MOST_THREADS, allowed_threads
from optim.optimizer import Optimizer, inplace

pytestmark = host_only
SIZE = 64


class Meeting(Optimizer):
    """Goes on only when as many threads as `meeting` waits for are in its kernel at once."""

    lr: float = 1.0
    meeting = threading.Barrier(1)

    @inplace
    def kernel(p, g, *, lr):
        Meeting.meeting.wait(timeout=30)
        p -= lr * g


del optim.RULES["meeting"]  # it is nobody else's business


@pytest.fixture
def threads(monkeypatch):
    """Blocks of four float64 coordinates, for three threads."""
    cut_into(monkeypatch, 32)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")


@pytest.mark.parametrize("size, expected", [(64, 3), (24, 3), (23, 2), (16, 2), (15, 1)])
def test_each_thread_has_two_blocks_or_more(size, expected, threads, monkeypatch):
    [x] = tensors(start("float64", size), [(size,)])
    opt = Meeting([x])
    x.grad = np.ones(size)
    _, parts, _ = opt._prepared["kernel"]
    assert len(parts) == expected
    coordinates = [i for part in parts for where, _ in part for i in range(size)[where]]
    assert coordinates == list(range(size))
    if len({len(part) for part in parts}) == 1:  # so that nobody waits in vain
        monkeypatch.setattr(Meeting, "meeting", threading.Barrier(expected))
        opt.step()
        np.testing.assert_array_equal(flat(opt.params), start("float64", size) - 1)


@pytest.mark.parametrize("at", [0, SIZE // 2, SIZE - 1])
def test_overflow_in_any_thread_is_an_error_once_all_have_ended(at, threads):
    [x] = tensors(np.ones(SIZE), [(SIZE,)])
    opt = optim.Adam([x], lr=0.5)
    g = np.ones(SIZE)
    g[at] = 1e200
    x.grad = g
    with pytest.raises(FloatingPointError, match=r"Adam.* at step 1: overflow.*1e\+200"):
        opt.step()
    moved = x.data != 1
    assert not moved[at] and moved.sum() >= SIZE * 2 // 3 - 8  # the parts of the other two


def test_an_error_leaves_the_threads_usable(threads):
    test_overflow_in_any_thread_is_an_error_once_all_have_ended(SIZE - 1, threads)
    [x] = tensors(np.ones(SIZE), [(SIZE,)])
    opt = optim.SGD([x], lr=0.5)
    x.grad = np.ones(SIZE)
    opt.step()
    np.testing.assert_array_equal(x.data, np.full(SIZE, 0.5))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own():
    code = """
import os, numpy as np, optim
from minigrad import Tensor
x = Tensor(np.zeros(2**20), requires_grad=True)
opt = optim.SGD([x], lr=1.0)
x.grad = np.ones(2**20)
assert len(opt._prepared["kernel"][1]) == 2
opt.step()
child = os.fork()
opt.step()
if child:
    assert os.waitpid(child, 0)[1] == 0
assert (x.data == -2).all()
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


def test_how_many_are_allowed(monkeypatch):
    for given, expected in (("1", 1), ("2", 2), ("64", MOST_THREADS), ("0", 1)):
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
