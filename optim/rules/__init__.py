"""The rules, one family a file, in order of increasing complexity, which is that of RULES."""

# isort: off
from optim.rules.descent import *
from optim.rules.adaptive import *
from optim.rules.adam import *
from optim.rules.long_memory import *
from optim.rules.delayed import *
from optim.rules.denominator import *
from optim.rules.numerator import *
from optim.rules.per_tensor import *
from optim.rules.matrix import *
from optim.rules.parameter_free import *
from optim.rules.schedule_free import *
from optim.rules.closure import *
from optim.rules.quasi_newton import *

from optim.rules import (
    descent,
    adaptive,
    adam,
    long_memory,
    delayed,
    denominator,
    numerator,
    per_tensor,
    matrix,
    parameter_free,
    schedule_free,
    closure,
    quasi_newton,
)

# isort: on
__all__: list[str] = []
__all__ += descent.__all__
__all__ += adaptive.__all__
__all__ += adam.__all__
__all__ += long_memory.__all__
__all__ += delayed.__all__
__all__ += denominator.__all__
__all__ += numerator.__all__
__all__ += per_tensor.__all__
__all__ += matrix.__all__
__all__ += parameter_free.__all__
__all__ += schedule_free.__all__
__all__ += closure.__all__
__all__ += quasi_newton.__all__
