"""Every optimizer, each written once as an in-place kernel that reads like its paper.

    opt = optim.AMSGrad(model.parameters(), lr=1e-3)
    opt.zero_grad(); model.loss(x, y).backward(); opt.step()

In the kernels: p parameters, g gradient, m first moment, v second moment, v_max its running
maximum, s sum of squares, b momentum buffer, u and d (squared) updates, t the 1-based step.
"""

from optim import schedules
from optim.adam import Adam, PaperAdam
from optim.adaptive import Adadelta, AdaGrad, CenteredRMSProp, RMSProp, RMSPropMomentum
from optim.descent import SGD, Momentum, Nesterov
from optim.long_memory import (
    AdamNC,
    AMSGrad,
    AMSGradKeras,
    AMSGradOptax,
    AMSGradTorch,
    LeakyAMSGrad,
)
from optim.optimizer import RULES, Optimizer, make
from optim.projections import Box

__all__ = [
    "RULES",
    "SGD",
    "AMSGrad",
    "AMSGradKeras",
    "AMSGradOptax",
    "AMSGradTorch",
    "AdaGrad",
    "Adadelta",
    "Adam",
    "AdamNC",
    "Box",
    "CenteredRMSProp",
    "LeakyAMSGrad",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "PaperAdam",
    "RMSProp",
    "RMSPropMomentum",
    "make",
    "schedules",
]
