"""What a rule declares, and what it is set to, which is checked whenever it is set."""

from collections.abc import Callable, Iterable
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import Array, to_host
from minigrad.tensor import Tensor
from optim.engine.declared import Declared
from optim.engine.kinds import kinds
from optim.engine.meant import cure
from optim.engine.registry import register
from optim.engine.settings import (
    Places,
    Settings,
    check_order,
    check_setting,
    check_size,
    leaves,
    own_copy,
    value_at,
)
from optim.engine.signature import signature_of
from optim.projections import Projection

NOT_SETTINGS = ("params", "projection", "eager")  # fields that are no hyperparameters


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Rule(Declared):
    """Base of the rules: makes the fields of every subclass keyword arguments that may be set."""

    kw_only = True
    params: Iterable[Tensor] = field(kw_only=False)
    projection: Projection | None = None
    eager: bool = False

    kernel: ClassVar[Callable[..., None]]  # the pass that moves p
    diagonal: ClassVar[Callable[..., Array] | None] = None
    rate: ClassVar[Callable[..., Any] | None] = None  # what multiplies the direction; lr, if None
    passes: ClassVar[tuple[str, ...]] = ("kernel",)
    after_projection: ClassVar[tuple[str, ...]] = ()  # passes of what the projection has left
    per_tensor: ClassVar[tuple[str, ...]] = ()  # passes that see whole tensors in place of blocks
    reductions: ClassVar[tuple[str, ...]] = ()  # functions of more state that are no passes
    given: ClassVar[tuple[str, ...]] = ()  # scalars that `update` gives to its passes
    ordered: ClassVar[tuple[str, ...]] = ()  # pairs whose first part may not exceed the second
    projected: ClassVar[str] = "p"  # the array that a projection moves
    needs_closure: ClassVar[bool] = False
    oracle: ClassVar[str] = ""  # whose trajectories it was compared with
    eps_of_squares: ClassVar[bool] = False  # whether eps is added to squares, not to roots

    if TYPE_CHECKING:  # no fields
        __dataclass_fields__: ClassVar[dict[str, Any]]
        _owned: Parameters
        _finfo: np.finfo[Any]
        _values: Places | None  # of the last step
        _settings: Settings | None  # as set now; None where that has changed

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "kernel") and not cls.__name__.startswith("_"):  # else a base of rules
            register(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dataclass_fields__:
            self._check(name, value)
            vars(self)["_settings"] = None
            value = own_copy(value) if name not in NOT_SETTINGS else value
        elif "_passes" in vars(self) and name[0] != "_" and not hasattr(self, name):
            raise AttributeError(f"{type(self).__name__} has no {name} to set; {self._cure(name)}")
        vars(self)[name] = value

    @classmethod
    def _cure(cls, name: str) -> str:
        """The end of a message about a setting that the rule has not."""
        return cure(cls, name)

    @classmethod
    def hyperparameters(cls) -> dict[str, Any]:
        """The rule's hyperparameters with their defaults."""
        return {f.name: f.default for f in fields(cls) if f.name not in NOT_SETTINGS}

    @classmethod
    def state_names(cls) -> list[str]:
        """The names of the rule's state, as its passes and reductions spell them."""
        functions = (*cls.passes, *cls.after_projection, *cls.reductions)
        every = [name for one in functions for name in signature_of(getattr(cls, one)).positional]
        return [name for name in dict.fromkeys(every) if name not in ("p", "g")]

    def start(self, p: Array) -> dict[str, Any]:
        """State that does not start as zeros, by name, from the parameters p.

        An array is copied; a Python float or 0-d array is a number, float64, one for the whole
        rule. p is one flat array, and for a rule with passes per_tensor each tensor in turn, whose
        arrays may have any shape.
        """
        return {}

    @property
    def used(self) -> dict[str, Any]:
        """The hyperparameters as the last step had them; empty before the first."""
        values = self._values or {}
        return {
            name: tuple(values[place] for place, _ in leaves(name, setting))
            if isinstance(setting, tuple)
            else values[name]
            for name, setting in self.hyperparameters().items()
            if values
        }

    def __repr__(self) -> str:
        with np.printoptions(threshold=4, edgeitems=1):  # one line, however long an array is
            own = self._own_settings().items()
            settings = ", ".join(f"{name}={value!r}" for name, value in own)
        return f"{type(self).__name__}({settings})"

    def _own_settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.hyperparameters()}

    def _prepared(self) -> Settings:
        return self._settings or self._prepare()

    def _prepare(self) -> Settings:
        """The settings as they are now, and the projection's numbers beside them."""
        of_kind, given, every = kinds(type(self)), {}, {}
        for name, setting in self._own_settings().items():
            kind = of_kind[name]
            each = kind if isinstance(kind, tuple) else (kind,)
            for (place, part), one in zip(leaves(name, setting), each, strict=True):
                given[place], every[place] = part, one
        if given.get("eps") == 0:  # vanishes beside any real root, and makes 0/0 = 0
            given["eps"] = float(self._finfo.tiny ** (1 if self.eps_of_squares else 0.5))
        if self.projection and self.projection.kernel:
            given |= self.projection.numbers()
        vars(self)["_settings"] = settings = Settings(given, every, self._owned.size, self.ordered)
        return settings

    def _check(self, name: str, value: Any) -> None:
        """Raise an error for what a field may not be set to."""
        kind = kinds(type(self))[name]
        built = "_passes" in vars(self)
        parts = kind if isinstance(kind, tuple) else (kind,)
        if built and (name in NOT_SETTINGS or any(one.fixed for one in parts)):
            raise AttributeError(f"{name} is fixed; build another optimizer to change it.")
        if name == "params":
            check_no_groups(value, type(self).__name__)
        if name == "projection" and not isinstance(value, Projection | None):
            raise TypeError(
                f"projection={value!r:.60}: give one such as optim.Box(-1, 1), or None."
            )
        if name not in NOT_SETTINGS:
            check_setting(type(self).__name__, name, value, kind)
        if built:
            self._check_fits(name, value)

    def _check_fits(self, name: str, value: Any) -> None:
        """Raise ValueError for an eps or an array that these parameters cannot do with, and for a
        pair in the wrong order."""
        if name == "eps" and 0 < value < self._finfo.tiny:
            raise ValueError(
                f"eps={value} underflows in {self._owned.dtype}; "
                f"use 0, for none, or at least {self._finfo.tiny:.1e}."
            )
        numbers = {place: value_at(place, part, 1) for place, part in leaves(name, value)}
        for place, number in numbers.items():
            if getattr(number, "ndim", 0):
                check_size(place, number, self._owned.size)
                numbers[place] = to_host(number)
        if name in self.ordered:
            check_order(name, numbers)


def check_no_groups(params: Any, rule: str) -> None:
    """Raise TypeError for PyTorch's groups of parameters, which are dicts."""
    every = params if isinstance(params, list | tuple) else [params]
    if any(isinstance(one, dict) and "params" in one for one in every):
        raise TypeError(
            f"params has groups with settings of their own; write optim.Groups.of(optim.{rule}, "
            "[(params, {'lr': 0.1}), (params, {'lr': 0.2})])."
        )
