"""Rules by what names them in a command or in settings: adam, adam(eps=1e-6), mine.py:Mine, or
mine.py:Mine(lr=1e-2), with the class of a file and hyperparameters that are literals of Python.
"""

import ast
import linecache
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minigrad.backend import Backend, temporarily
from minigrad.errors import nearest, one_line
from minigrad.tensor import Tensor
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
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(
            f"rule {text!r}: {file} cannot be read ({why}); give the path of a file of Python."
        ) from error


@cache
def _named(text: str, source: str | None) -> NamedRule:
    parts = _parts(text)
    file, name = parts["file"], parts["rule"]
    fixed = _literals(text, parts["fixed"] or "()")
    rule: Any
    if source is None:
        if name.lower() not in RULES:
            raise ValueError(f"rule {name!r} is unknown; {nearest(name, RULES)}")
        rule = RULES[name.lower()]
    else:
        try:
            module = _module(file, source)
        except (Exception, SystemExit) as error:  # whatever is wrong in it
            raise ValueError(
                f"rule {text!r}: {file} does not run ({one_line(error)}); mend it."
            ) from error
        rule = getattr(module, name, None)
        if not (isinstance(rule, type) and issubclass(rule, Optimizer)):
            raise ValueError(
                f"rule {text!r}: {file} has no rule {name}; name a class of optim.Optimizer in it."
            )
    for setting in fixed:
        if setting not in rule.hyperparameters():
            raise ValueError(f"rule {text!r} has no {setting!r}; {cure(rule, setting)}")
    found = NamedRule(rule, fixed, file)
    try:
        with temporarily(Backend()):
            found([Tensor(np.ones(shape), requires_grad=True) for shape in ((2, 2), (2,))])
    except Exception as error:
        raise ValueError(f"rule {text!r} cannot be built: {error}") from error
    return found


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


@cache
def _module(file: str, source: str) -> ModuleType:
    """What the file is once it has run, from its text alone, and once in a process."""
    digest = sha256(source.encode()).hexdigest()[:16]
    module = ModuleType(f"{Path(file).stem}_{digest}")
    module.__file__ = f"{file} {digest}"  # no file there is, lest inspect read what it has become
    linecache.cache[module.__file__] = len(source), None, source.splitlines(True), module.__file__
    sys.modules[module.__name__] = module  # where types and inspect look for its names
    try:
        with _own_names():
            exec(compile(source, module.__file__, "exec"), vars(module))
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


@contextmanager
def _own_names() -> Iterator[None]:
    """Inside, a rule may have any name but one of optim's; afterwards RULES is as before.

    So files that name their rules alike, or one file in two states, do not get into each other's
    way.
    """
    before = dict(RULES)
    for name, rule in before.items():
        if not rule.__module__.startswith("optim."):
            del RULES[name]
    try:
        yield
    finally:
        RULES.clear()
        RULES.update(before)
