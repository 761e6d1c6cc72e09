"""Files of rules: the text, which is all that a run keeps, and what it is once it has run."""

import ast
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from minigrad.errors import one_line
from optim.engine.registry import RULES

OURS = {"minigrad", "optim", "models", "experiments"}
_files: dict[str, str] = {}  # that have run in this process, by their `place`


class RuleError(RuntimeError):
    """What a rule of a file raises, with the line; raised again if it were tried again."""


def read(file: str) -> str:
    """The text of the file; raises ValueError where it cannot be read, or needs its neighbours."""
    try:
        path = Path(file).expanduser()  # as of adam,~/mine.py:Mine, which a shell leaves as it is
        source = path.read_text("utf-8-sig")  # some editors begin a file with a mark
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(
            f"{file} cannot be read ({why}); give the path of a file of Python."
        ) from error
    for name in _imported(source):
        if _is_near(name, path.parent):
            raise ValueError(
                f"{file} imports {name}, which is not installed but lies near it, where whoever "
                f"resumes or loads the run has none; put what it needs of that into {file}."
            )
    return source


def _imported(source: str) -> Iterator[str]:
    """The modules that a text imports, by the first part of their names; none where it is wrong."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # said once it is run
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        if isinstance(node, ast.ImportFrom):
            yield "." if node.level else str(node.module).split(".")[0]


def _is_near(name: str, folder: Path) -> bool:
    """Whether Python finds that module beside the file, or in the directory in force."""
    if name == ".":
        return True
    if name in OURS | sys.stdlib_module_names:
        return False
    found = PathFinder.find_spec(name) or PathFinder.find_spec(name, [str(folder)])
    if found is None:
        return False
    inside = found.submodule_search_locations  # of a package
    place = Path(next(iter(inside)) if inside else str(found.origin)).resolve().parent
    near = place in (folder.resolve(), Path.cwd())
    return near and name not in packages_distributions()  # as of `pip install -e .` here


@cache
def module(file: str, source: str) -> ModuleType:
    """What the file is once it has run, from its text alone, and once in a process.

    Raises ValueError for whatever is wrong in it.
    """
    made = ModuleType(f"{Path(file).stem}_{_digest(source)}")
    made.__file__ = place(file, source)
    linecache.cache[made.__file__] = len(source), None, source.splitlines(True), made.__file__
    _files[made.__file__] = file
    sys.modules[made.__name__] = made  # where types and inspect look for its names
    try:
        with _own_names():
            exec(compile(source, made.__file__, "exec"), vars(made))
    except BaseException as error:
        del sys.modules[made.__name__]
        if not isinstance(error, (Exception, SystemExit)):
            raise
        said = f"SyntaxError: {error.msg}" if isinstance(error, SyntaxError) else one_line(error)
        raise ValueError(
            f"{file} does not run{at_line(error, made.__file__)} ({said}); mend it."
        ) from error
    return made


def place(file: str, source: str) -> str:
    """What inspect and tracebacks call the file: none that there is, lest they read what it has
    become."""
    return f"{file} {_digest(source)}"


def _digest(source: str) -> str:
    return sha256(source.encode()).hexdigest()[:16]


def at_line(error: BaseException, place: str) -> str:
    """Where in the text of that place an error came up, " at line 3"; nothing where it did not."""
    if isinstance(error, SyntaxError) and error.filename == place:
        return f" at line {error.lineno}"
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == place]
    return f" at line {lines[-1]}" if lines else ""


def blamed(error: BaseException) -> str:
    """The line of the last file of a rule that an error came through, and what it says; nothing
    where it came through none."""
    for frame in reversed(extract_tb(error.__traceback__)):
        if frame.filename in _files:
            return f"{_files[frame.filename]} at line {frame.lineno} raises {one_line(error)}"
    return ""


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
