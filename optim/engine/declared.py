"""Dataclasses with one __init__ for all.

To compile an __init__ for each of a hundred rules and schedules, as `dataclass` does, took most of
the time of `import optim`.
"""

from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from inspect import Parameter, Signature, cleandoc, signature
from typing import Any, ClassVar

from minigrad.errors import nearest
from optim.engine.kinds import described, shown_type, types


class _Shown(str):
    """A type as help prints it, without quotes."""

    def __repr__(self) -> str:
        return str(self)


class _Doc:
    """The docstring of a class, and after it what there is to say of each field."""

    def __init__(self, own: str | None):
        self.own = own

    def __get__(self, instance: Any, cls: Any) -> str | None:
        return f"{cleandoc(self.own)}\n\n{described(cls)}" if self.own else None


class _Signature:
    """The signature of a class, from its fields."""

    def __get__(self, instance: Any, cls: Any) -> Signature:
        if not is_dataclass(cls):
            raise AttributeError("a base of declared classes has no signature of its own.")
        return Signature(
            [
                Parameter(
                    f.name,
                    Parameter.KEYWORD_ONLY if f.kw_only else Parameter.POSITIONAL_OR_KEYWORD,
                    default=Parameter.empty if f.default is MISSING else f.default,
                    annotation=_Shown(shown_type(types(cls)[f.name])),
                )
                for f in fields(cls)
                if f.init
            ]
        )


class Declared:
    """Base of classes that are declared by their fields: every subclass is a dataclass."""

    __signature__: ClassVar[Any] = _Signature()
    kw_only: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        dataclass(init=False, eq=False, repr=False, kw_only=cls.kw_only)(cls)
        # mypy does not see that the line above makes a dataclass of it
        for f in fields(cls):  # type: ignore[arg-type]
            if f.name in vars(cls) and vars(cls)[f.name] is not f.default:
                kind = shown_type(types(cls)[f.name])
                raise TypeError(
                    f"{cls.__name__} sets {f.name} without a type, which leaves the default as it "
                    f"was; write {f.name}: {kind} = {vars(cls)[f.name]!r}."
                )

        # a descriptor, which gives a str when `help` asks
        cls.__doc__ = _Doc(vars(cls).get("__doc__"))  # type: ignore[assignment]

    def __init__(self, *args: Any, **settings: Any):
        try:
            given = signature(type(self)).bind(*args, **settings)
        except TypeError as error:
            known = signature(type(self)).parameters
            unknown = [name for name in settings if name not in known]
            cure = f"; {self._cure(unknown[0])}" if unknown else "."
            raise TypeError(f"{type(self).__name__}({', '.join(known)}): {error}{cure}") from error
        given.apply_defaults()
        for name, value in given.arguments.items():
            setattr(self, name, value)
        self.__post_init__()

    @classmethod
    def _cure(cls, name: str) -> str:
        """The end of a message about a setting that it has not."""
        return nearest(name, signature(cls).parameters)

    def declared(self) -> tuple[Field[Any], ...]:
        """The fields of the class."""
        cls: Any = type(self)
        return fields(cls)

    def __post_init__(self) -> None:
        """What is to do once the fields are set."""
