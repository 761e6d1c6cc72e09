"""Rules by what names them in a command or in settings: adam, adam(eps=1e-6), mine.py:Mine, or
mine.py:Mine(lr=1e-2), with the class of a file and hyperparameters that are literals of Python.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass
from functools import cache
from traceback import extract_tb
from typing import Any

import numpy as np

from minigrad.backend import Backend, temporarily
from minigrad.errors import nearest, one_line
from minigrad.tensor import Tensor
from optim import files
from optim.engine.meant import cure
from optim.engine.optimizer import Optimizer
from optim.engine.registry import RULES

FORM = re.compile(r"(?:(?P<file>.+\.py):)?(?P<rule>\w+)(?P<fixed>\(.*\))?", re.DOTALL)
GRAMMAR = "give one as adam, adam(eps=1e-6), mine.py:Mine or mine.py:Mine(lr=1e-2)"


@dataclass(frozen=True)
class NamedRule:
    """A rule of which some hyperparameters are fixed, whoever builds it."""

    rule: type[Optimizer]
    fixed: Mapping[str, Any]
    file: str | None = None  # where the rule is from; None: from optim

    @property
    def label(self) -> str:
        """The name of the class, and what is fixed."""
        fixed = ", ".join(f"{name}={value!r}" for name, value in self.fixed.items())
        return f"{self.rule.__name__}({fixed})" if fixed else self.rule.__name__

    def hyperparameters(self) -> dict[str, Any]:
        """By name, the defaults and what is fixed."""
        return {**self.rule.hyperparameters(), **self.fixed}

    def __call__(self, params: Iterable[Tensor], **settings: Any) -> Optimizer:
        """The optimizer of these settings, but for what is fixed."""
        return self.rule(params, **{**settings, **self.fixed})


def named(text: str, sources: Mapping[str, str] | None = None) -> NamedRule:
    """The rule that the text names; a file that `sources` has the text of is not read.

    To name a rule of a file is to run it. Raises ValueError where there is no such rule, where its
    file does not run, and where the rule cannot be built with these hyperparameters.
    """
    file = file_of(text)
    return _named(text, None if file is None else (sources or {}).get(file) or _read(text, file))


def read(texts: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """The text of each file in which some of these rules are, unless it is known already."""
    files = {file: text for text in texts if (file := file_of(text)) is not None}
    return {file: known.get(file) or _read(text, file) for file, text in files.items()}


def file_of(text: str) -> str | None:
    """The file in which the named rule is, if it is in one; raises ValueError for no name."""
    file: str | None = _parts(text)["file"]
    return file


def _parts(text: str) -> dict[str, Any]:
    match = FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"rule {text!r} is no name of a rule; {GRAMMAR}.")
    return match.groupdict()


def _read(text: str, file: str) -> str:
    with _about(text):
        return files.read(file)


@contextmanager
def _about(text: str) -> Iterator[None]:
    """Inside, what is wrong with a rule is said of the one that the text names."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"rule {text!r}: {error}") from error


@cache
def _named(text: str, source: str | None) -> NamedRule:
    parts = _parts(text)
    file, name = parts["file"], parts["rule"]
    fixed = _literals(text, parts["fixed"] or "()")
    if source is not None:
        with _about(text):
            rule = _of_file(file, source, name)
    elif name.lower() in RULES:
        rule = RULES[name.lower()]
    else:
        raise ValueError(f"rule {name!r} is unknown; {nearest(name, RULES)}")
    for setting in fixed:
        if setting not in rule.hyperparameters():
            raise ValueError(f"rule {text!r} has no {setting!r}; {cure(rule, setting)}")
    found = NamedRule(rule, fixed, file)
    if open_ := [one for one, value in found.hyperparameters().items() if value is MISSING]:
        raise ValueError(
            f"rule {text!r} has no default for {open_[0]}; declare one, as in {open_[0]}: "
            "optim.Rate = 1e-3."
        )
    try:
        with temporarily(Backend()):
            found([Tensor(np.ones(shape), requires_grad=True) for shape in ((2, 2), (2,))])
    except Exception as error:
        place = files.place(file, source) if file and source else ""
        where = files.at_line(error, place)
        own = extract_tb(error.__traceback__)[-1].filename == place
        said: Any = one_line(error) if own else error  # ours are sentences
        if rule.__init__ is not Optimizer.__init__:
            said = f"{said}; declare its hyperparameters as fields, in place of an __init__."
        raise ValueError(f"rule {text!r} cannot be built{where}: {said}") from error
    return found


def _of_file(file: str, source: str, name: str) -> type[Optimizer]:
    """The rule of that name in a file of this text; raises ValueError where it has none."""
    made = files.module(file, source)
    rule = vars(made).get(name)
    if isinstance(rule, type) and issubclass(rule, Optimizer):
        return rule
    if isinstance(rule, type):
        raise ValueError(f"{name} of {file} is no rule; derive it from optim.Optimizer.")
    own = [one for one in vars(made).values() if getattr(one, "__module__", "") == made.__name__]
    known = [one.__name__ for one in own if isinstance(one, type) and issubclass(one, Optimizer)]
    cure = nearest(name, known) if known else "write a class of optim.Optimizer in it."
    raise ValueError(f"{file} has no rule {name}; {cure}")


def _literals(text: str, call: str) -> dict[str, Any]:
    try:
        called = ast.parse(f"rule{call}", mode="eval").body
        # ** has the name None
        if isinstance(called, ast.Call) and not called.args and all(k.arg for k in called.keywords):
            return {str(one.arg): ast.literal_eval(one.value) for one in called.keywords}
    except (SyntaxError, ValueError):
        pass  # as of arguments without a name
    raise ValueError(
        f"rule {text!r}: {call} is not made of names and literals; write hyperparameters as in "
        "(lr=1e-2, betas=(0.9, 0.99))."
    )
