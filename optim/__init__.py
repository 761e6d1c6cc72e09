"""Every optimizer, each written once as an in-place kernel that reads like its paper.

    opt = optim.AMSGrad(model.parameters(), lr=1e-3)
    opt.zero_grad(); model.loss(x, y).backward(); opt.step()

In the kernels: p parameters, g gradient, m first moment, v second moment, v_max its running
maximum, s sum of squares, b momentum buffer, u and d (squared) updates, t the 1-based step.
"""

# isort: off
# in order of increasing complexity, which is the order of RULES
from optim.descent import (
    SGD,
    Momentum,
    Nesterov,
    SGDW,
    QHM,
    AggMo,
    ASGD,
    SignSGD,
    Signum,
    Lion,
    Rprop,
)
from optim.adaptive import (
    AdaGrad,
    AdaGradNorm,
    FTRL,
    RMSProp,
    RMSPropMomentum,
    CenteredRMSProp,
    Adadelta,
)
from optim.adam import PaperAdam, Adam, AdamW, AdaMax, NAdam, NAdamW, RAdam
from optim.long_memory import (
    AdamNC,
    AMSGrad,
    AMSGradTorch,
    AMSGradKeras,
    AMSGradOptax,
    LeakyAMSGrad,
    AdamX,
    NosAdam,
    AdaX,
)
from optim.delayed import ADOPT, ACProp, AvaGrad, AdaShift, MaxAdaShift
from optim.adam_denominator import Yogi, AdaBelief, AdaBound, AMSBound, Padam
from optim.adam_numerator import QHAdam, Grams, LaProp, Adan, AdEMAMix, MemoryWarmUp
from optim.adamw_per_tensor import CautiousAdamW, MARS
from optim.shaped import LARS, LAMB, NovoGrad, SM3, Adafactor, AdamMini
from optim.matrix import Shampoo, SOAP, Muon
from optim.parameter_free import DoG, DoWG, DAdaptAdam, Prodigy
from optim.schedule_free import ScheduleFreeSGD, ScheduleFreeAdamW
from optim.closure import PolyakSGD, Sophia, LBFGS

# isort: on
from optim import schedules
from optim.around import DecoupledDecay, Wrapper
from optim.averaging import ExponentialAverage, Lookahead, PolyakAverage
from optim.gradients import Accumulate, ClipNorm, ClipValue
from optim.hyperparameters import Betas, Schedule
from optim.optimizer import Optimizer, inplace
from optim.parts import Frozen, Groups
from optim.projections import Box, L1Ball, L2Ball, NonNegative, Projection, Simplex
from optim.registry import RULES, make
from optim.sam import SAM

__all__ = [
    "ADOPT",
    "ASGD",
    "FTRL",
    "LAMB",
    "LARS",
    "LBFGS",
    "MARS",
    "QHM",
    "RULES",
    "SAM",
    "SGD",
    "SGDW",
    "SM3",
    "SOAP",
    "ACProp",
    "AMSBound",
    "AMSGrad",
    "AMSGradKeras",
    "AMSGradOptax",
    "AMSGradTorch",
    "Accumulate",
    "AdEMAMix",
    "AdaBelief",
    "AdaBound",
    "AdaGrad",
    "AdaGradNorm",
    "AdaMax",
    "AdaShift",
    "AdaX",
    "Adadelta",
    "Adafactor",
    "Adam",
    "AdamMini",
    "AdamNC",
    "AdamW",
    "AdamX",
    "Adan",
    "AggMo",
    "AvaGrad",
    "Betas",
    "Box",
    "CautiousAdamW",
    "CenteredRMSProp",
    "ClipNorm",
    "ClipValue",
    "DAdaptAdam",
    "DecoupledDecay",
    "DoG",
    "DoWG",
    "ExponentialAverage",
    "Frozen",
    "Grams",
    "Groups",
    "L1Ball",
    "L2Ball",
    "LaProp",
    "LeakyAMSGrad",
    "Lion",
    "Lookahead",
    "MaxAdaShift",
    "MemoryWarmUp",
    "Momentum",
    "Muon",
    "NAdam",
    "NAdamW",
    "Nesterov",
    "NonNegative",
    "NosAdam",
    "NovoGrad",
    "Optimizer",
    "Padam",
    "PaperAdam",
    "PolyakAverage",
    "PolyakSGD",
    "Prodigy",
    "Projection",
    "QHAdam",
    "RAdam",
    "RMSProp",
    "RMSPropMomentum",
    "Rprop",
    "Schedule",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "Shampoo",
    "SignSGD",
    "Signum",
    "Simplex",
    "Sophia",
    "Wrapper",
    "Yogi",
    "inplace",
    "make",
    "schedules",
]
