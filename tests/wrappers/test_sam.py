"""SAM: what it does beyond what holds for every rule with a closure."""

import numpy as np
import pytest

import optim
from minigrad import Tensor
from tests.rules.closure import NAMED, X0, Run, log_cosh


def test_sam_without_a_radius_is_its_base():
    plain = optim.AMSGrad([x := Tensor(X0, requires_grad=True, dtype="float64")], lr=0.1)
    run = Run(optim.SAM, base=optim.AMSGrad, rho=0, lr=0.1)
    _, rows = run.steps(10)
    for row in rows:
        x.grad = log_cosh(x.numpy())[1]
        plain.step()
        np.testing.assert_array_equal(row, x.numpy())
    assert run.opt.lr == 0.1 and run.opt.t == 10 and len(run.calls) == 20


def test_sam_follows_the_paper():
    _, rows = Run(optim.SAM, lr=0.1, rho=0.5).steps(20)
    x = X0
    for row in rows:
        slope = log_cosh(x)[1]
        x = x - 0.1 * log_cosh(x + 0.5 * slope / np.sqrt(slope @ slope))[1]
        np.testing.assert_allclose(row, x, rtol=0, atol=1e-13)


def test_sam_looks_rho_further_uphill():
    run = Run(optim.SAM, rho=0.3)
    run.steps(1)
    (x, _, slope), (there, _, _) = run.calls
    np.testing.assert_allclose(there - x, 0.3 * slope / np.linalg.norm(slope), rtol=1e-12)


@pytest.mark.parametrize("rho", (-0.1, np.inf, np.nan))
def test_sam_refuses_a_bad_radius(rho):
    with pytest.raises(ValueError, match="rho="):
        Run(optim.SAM, rho=rho)
    with pytest.raises(ValueError, match="rho="):
        Run(optim.SAM).opt.rho = rho


@pytest.mark.parametrize("base", NAMED.values())
def test_sam_refuses_a_base_with_a_closure(base):
    with pytest.raises(TypeError, match=r"SAM steps from gradients, but .* asks for a closure"):
        Run(optim.SAM, base=base)


@pytest.mark.parametrize("size", (1e-30, 1e30))
def test_sam_takes_a_norm_beyond_the_dtype(size):
    run = Run(optim.SAM, lambda x: (1.0, np.full(12, size)), dtype="float32", rho=9.0, lr=0.0)
    run.steps(1)
    (x, _, _), (there, _, _) = run.calls
    np.testing.assert_allclose(there - x, 9 / np.sqrt(12), rtol=1e-5)
