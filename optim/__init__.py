"""Every optimizer, each written once as an in-place kernel that reads like its paper.

    opt = optim.AMSGrad(model.parameters(), lr=1e-3)
    opt.zero_grad(); model.loss(x, y).backward(); opt.step()

In the kernels: p parameters, g gradient, m first moment, v second moment, v_max its running
maximum, s sum of squares, b momentum buffer, u and d (squared) updates, t the 1-based step.
"""

from optim import engine, projections, rules, schedules, wrappers
from optim.engine import *
from optim.projections import *
from optim.rules import *
from optim.wrappers import *

__all__ = ["schedules"]
__all__ += engine.__all__
__all__ += rules.__all__
__all__ += wrappers.__all__
__all__ += projections.__all__
