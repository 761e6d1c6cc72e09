import numpy as np
import pytest
from driving import SIZE, assert_identical, drive, end, flat, gradients, start, tensors
from test_rules import both_dtypes, every_rule

import optim
from optim import Box

GRADS = gradients(8)
LOW = np.linspace(-1, 0.5, SIZE)
BOXES = {
    "numbers": Box(-0.5, 0.75),
    "integers": Box(-1, 1),
    "arrays": Box(LOW, LOW + 0.5),
    "one array": Box(LOW, 2.0),
    "half a line": Box(0, np.inf),
    "a point": Box(0.25, 0.25),
}


@every_rule
@both_dtypes
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_a_step_with_a_box_is_a_step_and_a_clip(rule, dtype, box):
    opt = rule(tensors(start(dtype)), lr=0.1, projection=box)
    free = rule(tensors(start(dtype)), lr=0.1)
    for g in GRADS:
        # the free one starts each step from where the other is
        for tensor, boxed in zip(free.params, opt.params, strict=True):
            tensor.data = boxed.data
        drive(opt, [g])
        drive(free, [g])
        lo, hi = np.asarray(box.lo, dtype), np.asarray(box.hi, dtype)
        clipped = np.clip(flat(free.params), lo, hi)
        # the box is no part of what a rule remembers: state is the same
        assert_identical(end(opt), end(free) | {"p": clipped})


def test_a_box_binds_from_both_sides():
    opt = optim.SGD(tensors(np.zeros(4), [(4,)]), lr=1.0, projection=Box(-1, 2))
    rows = drive(opt, [[-9, 9, 0.5, 0], [1, 0, 9, -9]])
    np.testing.assert_array_equal(rows, [[2, -1, -0.5, 0], [1, -1, -1, 2]])


@pytest.mark.parametrize(
    "lo, hi",
    [(1, -1), (np.nan, 1), (0, np.nan), ([0, 2] * np.ones(2), 1), (0, np.array([1, -1e-9]))],
)
def test_an_empty_box_is_refused(lo, hi):
    with pytest.raises(ValueError, match=r"Box\(.*\) is empty; lo must not exceed hi"):
        Box(lo, hi)


@pytest.mark.parametrize("box, named", [(Box(LOW[:-1], 2), "box_lo"), (Box(-2, LOW[1:]), "box_hi")])
def test_a_box_of_another_length_is_refused(box, named):
    x = tensors(start())
    with pytest.raises(ValueError, match=rf"{named}.*\(47,\).*48 coordinates"):
        optim.SGD(x, projection=box)
    optim.SGD(x)  # the failed one owns nothing


def test_a_box_says_what_it_is():
    assert repr(Box(-1, 0.5)) == "Box(lo=-1, hi=0.5)"
    assert Box(-1, 1) == Box(-1, 1) != Box(-1, 2)


def test_parameters_may_start_outside():
    opt = optim.Momentum(tensors(np.array([5.0, -5.0]), [(2,)]), projection=Box(-1, 1))
    drive(opt, [[0.0, 0.0]])
    np.testing.assert_array_equal(end(opt)["p"], [1, -1])
