"""What is meant by a setting that a rule has not: here it is another rule, or a wrapper."""

from typing import Any

from minigrad.errors import nearest
from optim.engine.registry import RULES

L2 = "optim.L2Decay(inner, weight_decay) adds it to the gradient, as torch.optim.Adam does"
DECOUPLED = "optim.DecoupledDecay(inner, weight_decay) shrinks the weights, as AdamW does"
FUSED = "every step is one pass already, so leave it out"
MEANT = {  # settings of PyTorch and Keras
    "amsgrad": "optim.AMSGradTorch and optim.AMSGradKeras are Adam with it, as these libraries do",
    "nesterov": "optim.Nesterov is Momentum with it, and optim.NAdam is Adam",
    "centered": "optim.CenteredRMSProp is RMSProp with it",
    "momentum": "Adam and its like have it in betas",
    "weight_decay": f"{L2}, and {DECOUPLED}",
    "decoupled_weight_decay": DECOUPLED,
    "maximize": "optim.Maximize(inner) climbs with any rule",
    "clipnorm": "optim.ClipNorm(inner, norm) clips for any rule",
    "global_clipnorm": "optim.ClipNorm(inner, norm) clips for any rule",
    "clipvalue": "optim.ClipValue(inner, value) clips for any rule",
    "use_ema": "optim.ExponentialAverage(inner, decay) averages for any rule",
    "foreach": FUSED,
    "fused": FUSED,
}


def cure(rule: Any, name: str) -> str:
    """The end of a message about a setting that a rule has not."""
    if name not in MEANT:
        return nearest(name, rule.hyperparameters())
    for other in RULES.values():
        if issubclass(other, rule) and name in other.hyperparameters():
            return f"optim.{other.__name__} is {rule.__name__} with it; {MEANT[name]}."
    return f"{MEANT[name]}."
