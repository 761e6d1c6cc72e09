"""Every optimizer, each written once as an in-place kernel that reads like its paper.

    opt = optim.AMSGrad(model.parameters(), lr=1e-3)
    opt.zero_grad(); model.loss(x, y).backward(); opt.step()

In the kernels: p parameters, g gradient, m first moment, v second moment, v_max its running
maximum, s sum of squares, b momentum buffer, u and d (squared) updates, t the 1-based step.
"""

# isort: off
# in order of increasing complexity, which is the order of RULES
from optim.descent import SGD, Momentum, Nesterov
from optim.adaptive import AdaGrad, RMSProp, RMSPropMomentum, CenteredRMSProp, Adadelta
from optim.adam import PaperAdam, Adam
from optim.long_memory import (
    AdamNC,
    AMSGrad,
    AMSGradTorch,
    AMSGradKeras,
    AMSGradOptax,
    LeakyAMSGrad,
)

# isort: on
from optim import schedules
from optim.hyperparameters import Betas, Schedule
from optim.optimizer import RULES, Optimizer, inplace, make
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
    "Betas",
    "Box",
    "CenteredRMSProp",
    "LeakyAMSGrad",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "PaperAdam",
    "RMSProp",
    "RMSPropMomentum",
    "Schedule",
    "inplace",
    "make",
    "schedules",
]
