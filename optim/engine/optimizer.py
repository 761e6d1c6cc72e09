"""The driver of every update rule: scalars, passes over the blocks, projection, state on disk.

A rule is a subclass that declares hyperparameters as fields and one `kernel` of in-place array
expressions. The kernel's signature is its schema: after the parameters p and the gradients g
come the names of state arrays, after the * the names of the step's scalars. A rule of several
passes names them in `passes`, in which the arrays may be any of these. A pass depends on nothing
but its arguments, since it is called once: what it does is recorded, or on a device compiled.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import field, fields
from typing import Any, ClassVar, dataclass_transform

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import Array, to_host, xp
from minigrad.errors import nearest
from minigrad.tensor import Tensor
from optim.engine.declared import Declared
from optim.engine.passes import Pass, keywords, positional
from optim.engine.registry import register
from optim.engine.scalars import Scalars
from optim.engine.settings import (
    COUNTS,
    RANGES,
    Hyperparameters,
    check_number,
    check_range,
    copied,
    parts,
    restore,
    stateful,
    valued,
)
from optim.engine.state import FlatState, ShapedState, check_saved, check_shapes
from optim.engine.threads import summed_length
from optim.projections import Box, Projection

NO_DIAGONAL: Any = None  # for a rule whose parent has one that does not hold for it
Closure = Callable[[], Tensor]  # zeroes the gradients, goes backward and returns the loss
PARTS = ("rule", "shapes", "t", "running", "state", "schedules")  # of a rule's state
BETA_PRODUCTS = ("beta_product_0", "beta_product_1", "beta_product_2")  # in `running`


def inplace(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a part of a rule that sees only arrays and scalars: a typed staticmethod."""
    return staticmethod(function)


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class _Rule(Declared):
    """Makes the fields of every subclass keyword arguments."""

    kw_only = True


class Optimizer(_Rule):
    """Base of the rules: updates `params`, an iterable of Tensors, from their gradients.

    A hyperparameter is a number, a schedule (a callable of the step t = 1, 2, ...), or an array
    with one value per coordinate, which is copied; it stays an attribute that may be set between
    steps.
    """

    params: Iterable[Tensor] = field(kw_only=False)
    projection: Projection | None = None

    kernel: ClassVar[Callable[..., None]]  # the pass that moves p
    diagonal: ClassVar[Callable[..., Array] | None] = None
    passes: ClassVar[tuple[str, ...]] = ("kernel",)
    totals: ClassVar[tuple[str, ...]] = ()  # functions of more state that are no passes
    per_tensor: ClassVar[bool] = False  # whether passes see whole tensors in place of blocks
    start_only: ClassVar[tuple[str, ...]] = ()  # hyperparameters that nothing reads later
    one_number: ClassVar[tuple[str, ...]] = ()  # those that may be no array: "lr", "betas[1]"
    eps_of_squares: ClassVar[bool] = False  # whether eps is added to squares, not to roots
    needs_closure: ClassVar[bool] = False
    ranges: ClassVar[dict[str, float]] = {}  # of hyperparameters that differ from RANGES
    oracle: ClassVar[str] = ""  # whose trajectories it was compared with

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "kernel") and not cls.__name__.startswith("_"):  # else a base of rules
            register(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dataclass_fields__:
            self._check(name, value)
            self._now: Hyperparameters | None = None
            value = copied(value) if name not in ("params", "projection") else value
        elif "_passes" in vars(self) and name[0] != "_" and not hasattr(self, name):
            known = nearest(name, self._names)
            raise AttributeError(f"{type(self).__name__} has no {name} to set; {known}")
        vars(self)[name] = value

    def __post_init__(self) -> None:
        self.params = owned = Parameters.of(self.params)
        self._owned = owned
        self._names = tuple(self.hyperparameters())
        self._raising = Context()  # entered faster than np.errstate
        self._raising.run(np.seterr, over="raise", invalid="raise", divide="raise")
        self._finfo = np.finfo(self._owned.dtype)
        self.t = 0
        self.running: dict[str, Any] = {}  # numbers on the host that continuing needs
        self._scalars = Scalars(owned, self.state_names())
        for name in self._names:
            self._check_fits(name, getattr(self, name))
        box = self.projection if isinstance(self.projection, Box) else None
        if box:
            self._scalars.set(box.scalars(), self.t)
        self._diagonal_names = positional(self.diagonal) + keywords(self.diagonal)
        memory = ShapedState if self.per_tensor else FlatState
        self._memory = memory(self._owned, self.state_names(), self.start)
        self.state = self._memory.arrays
        self._pieces: dict[Any, list[Any]] = {}  # what `total` sums over, by function
        self._passes = {
            name: Pass(getattr(self, name), self._memory, owned, bool(box) and name == "kernel")
            for name in self.passes
        }
        owned.claim(self)

    @classmethod
    def hyperparameters(cls) -> dict[str, Any]:
        """The rule's hyperparameters with their defaults."""
        every = {f.name: f.default for f in fields(cls)}
        return {name: every[name] for name in every if name not in ("params", "projection")}

    @classmethod
    def state_names(cls) -> list[str]:
        """The names of the rule's state arrays, as its kernel spells them."""
        passes = cls.passes + cls.totals
        every = [name for one in passes for name in positional(getattr(cls, one))]
        return [name for name in dict.fromkeys(every) if name not in ("p", "g")]

    # What a rule may override

    def start(self, p: Array) -> dict[str, Any]:
        """State that does not start at zero, by name, from the parameters p.

        A number fills the array, a 0-d array is a single number, a 2-d one has rows of one value
        per coordinate, and p is one flat array. For a per-tensor rule p is each tensor in turn,
        and an array may have any shape.
        """
        return {}

    def scalars(self, h: Any) -> dict[str, Any]:
        """The kernel's scalars, from the hyperparameters h at this step; h itself by default."""
        values: dict[str, Any] = vars(h)
        return values

    def update(self, scalars: dict[str, Any]) -> None:
        """Move the parameters: sweep every pass, or whatever a rule does between them."""
        for name in self.passes:
            self.sweep(name, scalars)

    # What rules call

    def sweep(self, name: str, scalars: dict[str, Any]) -> None:
        """Apply the pass of that name to every block."""
        self._passes[name](scalars, self._scalars.spread)

    def total(self, function: Callable[..., Array]) -> Array:
        """The sum of function(...) over pieces of all arrays that its parameters name, 0-d.

        The pieces are the same whatever the size of a block, so that the sum is, bit for bit.
        """
        code = getattr(function, "__code__", function)  # that of a lambda is the same every step
        if code not in self._pieces:
            self._pieces[code] = list(
                self._memory.pieces(positional(function), summed_length(self._owned))
            )
        values = [function(*arrays) for _, arrays in self._pieces[code]]
        return xp.asarray(sum(values), self._owned.dtype)

    def debias(self, betas: tuple[Any, ...]) -> tuple[Any, ...]:
        """One minus the product of each beta up to this step; for `scalars`, once a step."""
        running, left = self.running, []
        for name, beta in zip(BETA_PRODUCTS, betas, strict=False):
            running[name] = product = running.get(name, 1.0) * beta
            left.append(1 - product)
        return tuple(left)

    # What users call

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Update the parameters once.

        A closure is called first; it zeroes the gradients, goes backward and returns the loss.
        Raises FloatingPointError on overflow and on invalid operations, perhaps half-way: to go
        on, load a state from before. Raises RuntimeError where a parameter was frozen since, and
        ValueError for a schedule that turned NaN; such a step changes nothing and does not count.
        """
        if self.needs_closure and closure is None:
            raise TypeError(
                f"{type(self).__name__}.step() needs a closure, which zeroes the gradients, goes "
                "backward and returns the loss."
            )
        loss = closure() if closure else None
        self.advance()
        return loss

    def advance(self) -> None:
        """Update the parameters once from the gradients they have."""
        for name, tensor in self._owned.items():
            if not tensor.requires_grad:
                raise RuntimeError(
                    f"{name} was frozen, requires_grad=False, after {type(self).__name__} took it; "
                    "set it to True and wrap the optimizer in optim.Frozen, or build one without."
                )
        before = self.running.copy()
        vars(self)["t"] += 1  # past __setattr__, which takes its time
        try:
            self._scalars.set(self.scalars(self._hyperparameters().at(self.t)), self.t)
        except BaseException:
            vars(self)["t"] -= 1
            self.running = before
            raise
        self._owned.materialize_grads()
        self._owned.mark_changed()  # even if the update fails: it may do so half-way
        try:
            self._raising.run(self.update, self._scalars)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{self} at step {self.t}: {error} in {self._owned.dtype}; "
                f"{self._largest_gradient()}; lower lr, or clip the gradients."
            ) from error
        if self.projection and not isinstance(self.projection, Box):
            plain = self.projection.euclidean or self.diagonal is None
            self.projection.apply(self._owned, None if plain else self.metric())

    def zero_grad(self) -> None:
        """Set the gradients to zero."""
        self._owned.zero_grad()

    def metric(self) -> Array:
        """The diagonal over the step size of the last step, one value per coordinate.

        This is sqrt(V_t) / alpha_t of the paper, whose increments are Gamma_t; inf where lr is 0.
        Raises RuntimeError before the first step, also after loading, and for a rule without a
        diagonal.
        """
        if self.diagonal is None:
            raise RuntimeError(f"{type(self).__name__} has no diagonal, so no metric.")
        if "lr" not in self._scalars:
            raise RuntimeError("metric() is that of the last step; call step() first.")
        known = {**self.state, **self._scalars}
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            diagonal = self.diagonal(**{name: known[name] for name in self._diagonal_names})
            metric = diagonal / self._scalars["lr"]
        return metric if metric.ndim else xp.full(self._owned.size, metric)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the parameters are those to evaluate with; for most rules, themselves."""
        yield

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs, on the host: the rule, t, and copies of the state."""
        return {
            "rule": type(self).__name__,
            "shapes": {name: list(tensor.shape) for name, tensor in self._owned.items()},
            "t": self.t,
            "running": {name: _saved(value) for name, value in self.running.items()},
            "state": {name: to_host(array).copy() for name, array in self.state.items()},
            "schedules": {at: one.state_dict() for at, one in self._schedules().items()},
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a state; raises ValueError, and changes nothing, where it does not fit."""
        check_saved(saved, type(self).__name__, PARTS, self.state)
        check_shapes(saved["shapes"], self._owned)
        restore(self._schedules(), saved["schedules"])
        self.t = saved["t"]
        self._scalars.forget("lr")  # there is no last step
        self.running = {name: _held(value) for name, value in saved["running"].items()}
        for name, array in self.state.items():
            array[...] = xp.asarray(saved["state"][name])

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"a copy of this {type(self).__name__} would update the same parameters; build one "
            "for a copy of the model, and load this one's state_dict()."
        )

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._names)
        return f"{type(self).__name__}({settings})"

    # Hyperparameters

    def _schedules(self) -> dict[str, Any]:
        """The schedules that have a state, by place."""
        return stateful({name: getattr(self, name) for name in self._names})

    def _hyperparameters(self) -> Hyperparameters:
        """The hyperparameters as they are set now."""
        if self._now is None:
            settings = {name: getattr(self, name) for name in self._names}
            if settings.get("eps") == 0:  # vanishes beside any real root, and makes 0/0 = 0
                settings["eps"] = self._finfo.tiny ** (1 if self.eps_of_squares else 0.5)
            self._now = Hyperparameters(settings)
        return self._now

    def _check(self, name: str, value: Any) -> None:
        """Raise an error for what a field may not be set to."""
        built = "_owned" in vars(self)
        if built and name in ("params", "projection", *COUNTS, *self.start_only):
            raise AttributeError(f"{name} is fixed; build another optimizer to change it.")
        if name == "projection" and not isinstance(value, Projection | None):
            raise TypeError(
                f"projection={value!r:.60}: give one such as optim.Box(-1, 1), or None."
            )
        if name in RANGES or name in COUNTS:
            check_range(name, value, self.hyperparameters()[name], self.ranges.get(name))
        if built:
            self._check_fits(name, value)

    def _check_fits(self, name: str, value: Any) -> None:
        """Raise ValueError for an eps or an array that these parameters cannot do with."""
        if name == "eps" and 0 < value < self._finfo.tiny:
            raise ValueError(
                f"eps={value} underflows in {self._owned.dtype}; "
                f"use 0, for none, or at least {self._finfo.tiny:.1e}."
            )
        for place, part in parts(name, value):
            number = valued(place, part, 1)
            if place in self.one_number:
                check_number(number, f"{place} of {type(self).__name__}")
            self._scalars.cast(name, number)

    def _largest_gradient(self) -> str:
        with np.errstate(all="ignore"):
            peaks = {
                n: float(abs(to_host(t._grad)).max()) for n, t in self._owned.items() if t.size
            }
        name = max(peaks, key=lambda n: (not np.isfinite(peaks[n]), peaks[n]))
        return f"the largest gradient is {peaks[name]:.3g}, of {name}"


def _saved(value: Any) -> Any:
    """An array on the host; a number as it is, which a device would make an array."""
    return to_host(value) if getattr(value, "ndim", 0) else value


def _held(value: Any) -> Any:
    return xp.asarray(value) if getattr(value, "ndim", 0) else value
