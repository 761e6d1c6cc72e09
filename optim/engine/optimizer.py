"""The driver of every update rule: settings, passes, projection, averages, state on disk.

A rule is a subclass that declares hyperparameters as fields and one `kernel` of in-place array
expressions; optim/engine/passes.py says what its arguments are. It is traced when it is first
built, so what it does may depend on nothing but its arguments.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import Array, current
from minigrad.tensor import Tensor
from optim.engine.building import build, metric_pass
from optim.engine.floating import quietly, raising
from optim.engine.gradients import all_finite, check_frozen, largest_gradient, squares_finite
from optim.engine.passes import FlatPass
from optim.engine.rule import Rule
from optim.engine.saving import SavedRule
from optim.engine.settings import Places
from optim.engine.state import State
from optim.engine.stepping import Closure
from optim.engine.sums import Sums, as_given
from optim.engine.whole import play
from optim.projections import Projection

NO_DIAGONAL: Any = None  # for a rule whose parent has one that does not hold for it


def inplace(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a part of a rule that sees only arrays and numbers: a typed staticmethod."""
    return staticmethod(function)


class Optimizer(Rule, SavedRule):
    """Base of the rules: updates `params`, an iterable of Tensors, from their gradients.

    A hyperparameter is a number, a schedule (a callable of the step t = 1, 2, ...), or an array
    with one value per coordinate, which is copied; it stays an attribute that may be set, and an
    array that may be written to, between steps. A rule that is `eager` calls its kernels instead of
    what was traced of them.
    """

    due: ClassVar[bool] = True  # see Stepping
    asks_later: ClassVar[bool] = False
    waiting: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not hasattr(self, "kernel"):
            raise TypeError(
                f"{type(self).__name__} has no kernel, which is what moves p; write one, under "
                "@optim.inplace."
            )
        self.params = owned = Parameters.of(self.params)
        self._owned = owned
        self._gradients = [span.grad for span in owned.spans]
        self._finfo = np.finfo(owned.dtype)
        self._values = None
        self.t = 0
        for name in self.hyperparameters():
            self._check_fits(name, getattr(self, name))
        self._prepare()
        per_tensor = bool(self.per_tensor)
        self._state: State = raising(
            State, owned, self.state_names(), self.start, per_tensor, self.writes_state
        )
        self._sums = Sums(self._state, owned)
        self._measured: FlatPass | None = None
        self._to_train: Array | None = None  # weights that a state brought, until the next step
        self._passes = build(self)
        self._claim = owned.claim(type(self).__name__)

    @property
    def rules(self) -> tuple["Optimizer", ...]:
        return (self,)

    @property
    def state(self) -> dict[str, Array]:
        """The live arrays and numbers of the state, by name.

        Until the first step they begin with the parameters as they are then, also where these were
        loaded or assigned to after the optimizer was built; what is written to `p.data[...]` goes
        unnoticed. From the first step on they are what the steps have made of them.
        """
        self._state.follow(self.start)
        return self._state.arrays

    @property
    def writes_state(self) -> bool:
        """Whether the rule has an update of its own, which may write state."""
        return type(self).update is not Optimizer.update

    # What a rule may override

    def update(self) -> None:
        """Move the parameters: apply every pass, or whatever a rule does between them."""
        for name in self.passes:
            self.apply(name)

    # What rules call

    def apply(self, name: str, **given: Any) -> None:
        """Apply the pass of that name, with the scalars that the class lists in `given`."""
        one: Any = self._passes[name]
        # None before the first step alone, and passes run in steps
        values: Places = self._values  # type: ignore[assignment]
        if given:
            values = values | {n: as_given(type(self), n, x) for n, x in given.items()}
        try:
            numbers = one.numbers(values)
        except KeyError as missing:
            raise TypeError(
                f"the update of {type(self).__name__} applies {name} without {missing}, which is "
                f"in `given`; write self.apply({name!r}, {missing.args[0]}=...)."
            ) from None
        one.run(numbers)

    def sum_over(self, function: Callable[..., Array]) -> Any:
        """The sum of function(...), 0-d, over pieces of all arrays that its parameters name.

        In float64, a Python float on the host and a 0-d array on a device. The pieces are the same
        whatever the size of a block, so that the sum is, bit for bit.
        """
        return self._sums(function)

    # What users call

    def check_step(self) -> None:
        check_frozen(self._owned, type(self).__name__)
        if self._state.fresh:
            self._state.follow(self.start)
        vars(self)["_next"] = self._prepared().at(self.t + 1)

    def check_gradients(self) -> bool:
        self._owned.materialize_grads()
        if not current().on_host or squares_finite(self._gradients):
            return False
        if not all_finite(self._owned):
            raise FloatingPointError(
                f"{self} at step {self.t + 1}: {largest_gradient(self._owned)}; lower lr, or leave "
                "such steps out with optim.SkipNonFinite."
            )
        return True

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        own = vars(self)  # past __setattr__, which takes its time
        before, t, fresh = own["_values"], own["t"] + 1, self._state.fresh
        try:
            self._state.fresh = False  # first: what the update moves is not what it starts from
            own["_values"], own["t"] = own["_next"], t
            self._owned.mark_changed()  # even if the update fails: it may do so half-way
            raising(self._update)
        except BaseException as error:
            if not self._state.begun:
                own["t"], own["_values"], self._state.fresh = t - 1, before, fresh
            if not isinstance(error, FloatingPointError):
                raise
            raise FloatingPointError(
                f"{self} at step {t}: {error} in {self._owned.dtype}; "
                f"{largest_gradient(self._owned)}; lower lr, or clip the gradients."
            ) from error
        own["_to_train"] = None
        return True

    def _update(self) -> None:
        """Update, project, and apply the passes of what the projection has left."""
        self.update()
        if self.projection and self.projection.kernel is None:
            self._project(self.projection)
        for name in self.after_projection:
            self.apply(name)

    def flush(self, outermost: Any = None) -> None:
        """Update from the gradients that wait in Accumulate, if there are any."""

    def drop(self) -> None:
        """Forget the gradients that wait in Accumulate, if there are any."""

    def _project(self, projection: Projection) -> None:
        if self.projected == "p":
            plain = projection.euclidean or self.diagonal is None
            projection.apply(self._owned, None if plain else self.metric())
        else:
            array = self.state[self.projected]
            array[...] = projection.nearest(array)

    def metric_pass(self) -> FlatPass:
        """What fills the metric after a step."""
        if self.diagonal is None:
            raise RuntimeError(f"{type(self).__name__} has no diagonal, so no metric.")
        if self._measured is None:
            self._measured = metric_pass(self)
        return self._measured

    def skipped_to(self, t: int, g: Array) -> None:
        """Count the steps up to t that a compiled loop has taken, the last with gradient g."""
        own = vars(self)
        own["_values"], own["t"] = self._prepared().at(t), t
        own["_state"].fresh, own["_to_train"] = False, None
        self._owned.spans[0].grad[...] = g
        self._owned.mark_changed()

    def zero_grad(self) -> None:
        """Set the gradients to zero."""
        self._owned.zero_grad()

    def metric(self) -> Array:
        """The diagonal over the rate of the last step, one value per coordinate.

        This is sqrt(V_t) / alpha_t of the paper, whose increments are Gamma_t; inf where the rate
        is 0. Raises RuntimeError before the first step, also after loading, and for a rule without
        a diagonal.
        """
        if self.diagonal and self._values is None:
            raise RuntimeError("metric() is that of the last step; call step() first.")
        measured, values = self.metric_pass(), self._values or {}
        quietly(lambda: measured.run(measured.numbers(values)))
        return self._state.beside["metric"].copy()

    def play(self, gradients: Array, metric: bool = False, at: int | None = None) -> Any:
        """Step with each of these gradients in turn, which must not depend on the parameters.

        They are (steps, coordinates), or (steps, 1) where all coordinates have the same. Gives the
        parameters before each step, (steps, coordinates), and if asked the metric after each: the
        same as stepping, bit for bit, in one compiled loop where numba or a device runs the rule,
        and no slower anywhere. Schedules are called for all steps beforehand; one that leaves its
        range raises ValueError before anything is changed. Keep steps x coordinates below 2^20.
        With `at`, each of them is that step again: the rule and its schedules see t = at.
        """
        return play(self, gradients, metric, at)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the parameters are those to evaluate with; for most rules, themselves.

        Where they are others, step(), play() and load_state_dict() are refused inside, a state that
        is saved there brings the weights to go on from, and what is assigned to parameters is
        undone at the end.
        """
        self.check_owner()
        yield

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"a copy of this {type(self).__name__} would update the same parameters; build one "
            "for a copy of the model, and load this one's state_dict()."
        )
