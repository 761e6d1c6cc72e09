"""Adam with another denominator: what is measured, and how far a step may go."""

from minigrad.backend import xp
from optim.engine.optimizer import inplace
from optim.engine.settings import Schedule, root, where
from optim.rules.adam import Adam, PaperAdam
from optim.rules.long_memory import AMSGrad

__all__ = ["AMSBound", "AdaBelief", "AdaBound", "Padam", "Yogi"]


class Yogi(PaperAdam):
    """Adam whose v moves towards g^2 by no more than (1 - beta2) g^2, up or down.

    Zaheer et al. 2018, Algorithm 2: without the bias correction that most libraries add. v
    starts at 1e-6, as in TensorFlow Addons.
    """

    oracle = "the paper"
    lr: Schedule = 1e-2
    eps: float = 1e-3

    def start(self, p):
        return {"v": 1e-6}

    @inplace
    def kernel(p, g, m, v, *, lr, beta1, one_minus_beta1, one_minus_beta2, eps):
        m *= beta1
        m += one_minus_beta1 * g
        square = g * g
        v -= one_minus_beta2 * xp.sign(v - square) * square
        p -= lr * m / PaperAdam.diagonal(v, eps=eps)


class AdaBelief(Adam):
    """Adam over the gradient's deviation from its mean m. Zhuang et al. 2020, Algorithm 2."""

    oracle = "zij.AdaBelief"
    eps_of_squares = True
    eps: float = 1e-16

    def corrected(self, h, debias1, debias2):
        return {**super().corrected(h, debias1, debias2), "floor": h.eps}

    @inplace
    def diagonal(s, *, eps):
        return xp.sqrt(s) + eps

    @inplace
    def kernel(p, g, m, s, *, lr, beta1, one_minus_beta1, beta2, one_minus_beta2, floor, eps):
        m *= beta1
        m += one_minus_beta1 * g
        surprise = g - m
        s *= beta2
        s += one_minus_beta2 * surprise * surprise + floor
        p -= lr * m / AdaBelief.diagonal(s, eps=eps)


class AdaBound(Adam):
    """Adam whose rates are bounded ever more tightly around final_lr: it ends as momentum.

    Luo et al. 2019, in the form of their implementation: with Adam's corrections, but for that of
    eps, and without a factor 1 / sqrt(t). The bounds change as lr does from the first that is not
    0.
    """

    oracle = "torch_optimizer.AdaBound"
    final_lr: Schedule = 0.1
    gamma: Schedule = 1e-3

    def scalars(self, h):
        first = self.running.get("lr_first", 0.0)
        self.running["lr_first"] = first = where(first == 0, h.lr, first)
        final_lr = h.final_lr * h.lr / (first + (first == 0))
        progress = h.gamma * self.t + root(float(self._finfo.tiny))  # no bound binds if gamma is 0
        return {
            **super().scalars(h),
            "eps": h.eps,
            "lower": final_lr * (1 - 1 / (progress + 1)),
            "upper": final_lr * (1 + 1 / progress),
        }

    @inplace
    def rate(v, *, lr, eps, lower, upper):
        return xp.minimum(xp.maximum(lr / (xp.sqrt(v) + eps), lower), upper)

    @inplace
    def diagonal(v, *, lr, eps, lower, upper):
        rate = AdaBound.rate(v, lr=lr, eps=eps, lower=lower, upper=upper)
        return xp.where(rate > 0, lr / rate, xp.inf)

    @inplace
    def kernel(p, g, m, v, *, lr, eps, lower, upper, **betas):
        PaperAdam.moments(g, m, v, **betas)
        p -= AdaBound.rate(v, lr=lr, eps=eps, lower=lower, upper=upper) * m


class AMSBound(AdaBound):
    """AdaBound over the largest v so far, corrected after as in PyTorch. Luo et al. 2019."""

    oracle = "torch_optimizer.AdaBound"

    @inplace
    def diagonal(v_max, *, lr, eps, lower, upper):
        return AdaBound.diagonal(v_max, lr=lr, eps=eps, lower=lower, upper=upper)

    @inplace
    def kernel(p, g, m, v, v_max, *, lr, eps, lower, upper, **betas):
        PaperAdam.moments(g, m, v, **betas)
        xp.maximum(v_max, v, out=v_max)
        p -= AdaBound.rate(v_max, lr=lr, eps=eps, lower=lower, upper=upper) * m


class Padam(AMSGrad):
    """AMSGrad over v_max to the power `partial`: 1/2 is AMSGrad, 0 is momentum.

    Chen et al. 2020, without the bias correction of its implementations.
    """

    oracle = "the paper"
    lr: Schedule = 0.1
    partial: Schedule = 0.125

    def scalars(self, h):
        return {**super().scalars(h), "exponent": 2 * h.partial}

    @inplace
    def diagonal(v_max, *, eps, exponent):
        return xp.power(xp.sqrt(v_max) + eps, exponent)

    @inplace
    def kernel(p, g, m, v, v_max, *, lr, eps, exponent, **betas):
        PaperAdam.moments(g, m, v, **betas)
        xp.maximum(v_max, v, out=v_max)
        p -= lr * m / Padam.diagonal(v_max, eps=eps, exponent=exponent)
