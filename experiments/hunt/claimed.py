"""What papers claim of the rules that are hunted, and how far the findings are against it."""

NOT_LOOKED_UP = "none was looked up"
INDEPENDENT = (
    "it is of stochastic gradients, each independent of those before, which the slopes of a period "
    "are not, so that this is outside of it (statement not checked)"
)
CONVEX = "a bound of its regret on convex problems is claimed (statement not checked)"
THEOREMS = {  # by the name of a row, or of its rule
    "Adam": "Kingma and Ba 2015, Theorem 4.1, has a beta1 that falls to 0; constant, it is outside",
    "PaperAdam": "none, but where beta1 is 0 it is RMSProp",
    "PaperAdam(betas=(0.0, 0.1))": "this is that of Reddi, Kale and Kumar 2018, Theorem 1",
    "RMSProp": "it is Adam with beta1 = 0, but for the bias correction, which fades, and for the "
    "projection, which keeps x in bounds as Kingma and Ba 2015, Theorem 4.1, assume: against that "
    "theorem (statement not checked)",
    "AdaGrad": "Duchi, Hazan and Singer 2011, Theorem 5, has a constant alpha; this is outside",
    "ADOPT": INDEPENDENT,
    "ACProp": INDEPENDENT,
    "AdaShift": INDEPENDENT,
    "Yogi": "it is of batches that grow, so that this is outside of it (statement not checked)",
    "AdaBelief": CONVEX,
    "LaProp": CONVEX,
    "LeakyAMSGrad": "none is claimed",
}


def theorem(name: str) -> str:
    """What is to be said of the theorem of a row with findings."""
    return THEOREMS.get(name) or THEOREMS.get(name.split("(")[0].split(",")[0], NOT_LOOKED_UP)


CLAIMS = """
## Published claims

What the rows say about these. A problem outside of a paper's assumptions contradicts its title, but
not its theorem. Whose theorem was not read in full is marked: *statement not checked*.

- **Reddi, Kale and Kumar 2018**, Theorem 1 (beta1 = 0, beta2 = 1 / (1 + C^2), C > 2): the row of
  PaperAdam with betas = (0, 0.1) is this problem with C = 3. Theorem 2: for any beta1 <
  sqrt(beta2) there is such a problem, of an even C that is large enough. That C = 2 N is enough
  where beta2^N C^2 <= 1 and N sqrt(1 - beta2) (1 - beta1 / sqrt(beta2)) >= 4, as a formal proof
  has it, which is C = 42,620 at betas = (0.9, 0.999) and C = 3,214 at betas = (0.9, 0.99); the rows
  of Adam show how much shorter periods do. They say without proof that the same holds of Adadelta
  and NAdam: so it does in these rows.
- The same, Theorem 4 (AMSGrad, alpha / sqrt(t), beta1 < sqrt(beta2)) and Corollary 2 (AdamNC): not
  contradicted, nor put to the test, since with a constant beta1, as in these rows, the bound of the
  first grows faster than T, and the second has a beta1 that falls. Nor was anything found beyond
  beta1 < sqrt(beta2): see AMSGrad(betas=(0.99, 0.9)). A maximum that decays slowly, which they
  leave open in Section 5, is not enough: see LeakyAMSGrad.
- **Kingma and Ba 2015**, Theorem 4.1 (alpha / sqrt(t), bounded slopes, a beta1 that falls to 0):
  refuted by the paper above; *its statement not checked*. Of the rows that of RMSProp, whose beta1
  is 0, meets these assumptions but for the bias correction, and has a projection beside; that of
  Adam with its constant beta1 does not.
- **Duchi, Hazan and Singer 2011**, Theorem 5 (AdaGrad, constant alpha) and **Zinkevich 2003**,
  Theorem 1 (SGD, alpha / sqrt(t)): not contradicted. AdaGrad with alpha / sqrt(t), which divides by
  the root of t twice, is outside of it: its steps are of the order of 1/t, so that x goes by the
  same way in every decade, and regret falls more slowly than any power of T.
- **Taniguchi et al. 2024** (arXiv:2411.02853, abstract; *statement not checked*): ADOPT converges
  with any beta2, at the optimal rate. It is said of stochastic gradients, which are independent of
  those that v has seen. In a period they are not, so that the rows contradict the title alone: a
  rare slope is divided by a v that has forgotten it, so that ADOPT goes to the worst point for good
  where the rare slope loses; in a block all slopes but the first few are divided by their own size.
- **Zhuang et al. 2021** (ACProp, arXiv:2110.05454, abstract; *statement not checked*) and **Zhou et
  al. 2019** (AdaShift, arXiv:1810.00143, abstract; *statement not checked*): a v that does not see
  the present slope cures what ails Adam. The example they have in mind is that of Reddi, Kale and
  Kumar, whose rare slope wins; the rows have others, whose slopes are no independent draws.
- **Zhuang et al. 2020** (AdaBelief, arXiv:2010.07468) and **Ziyin, Wang and Ueda 2020** (LaProp,
  arXiv:2002.04839, abstract: its regret is bounded on a convex problem): *statements not checked*.
  If one bounds the regret for alpha / sqrt(t) and constant betas on every convex problem of bounded
  slopes, its row is against it.
- **Zaheer et al. 2018** (Yogi, abstract: converges as batches grow) and **Xie et al. 2022** (Adan,
  arXiv:2208.06677): *statements not checked*. They are of stochastic gradients of functions that
  need not be convex, so that the rows are outside of them.
- **Tran and Phong 2019** (AdamX, arXiv:1904.03590), **Huang, Wang and Dong 2019** (NosAdam,
  arXiv:1805.07557), **Chen et al. 2020** (Padam, arXiv:1806.06763), **Luo et al. 2019** (AdaBound
  and AMSBound, arXiv:1902.09843), **Alacaoglu et al. 2020** (AMSGrad with a constant beta1,
  arXiv:2003.09729, abstract): nothing was found against them.
"""
