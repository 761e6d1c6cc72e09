"""README and the pages of docs/: what they run, what they quote, and what they tell to type.

A fenced block of Python is run, after those above it, unless its first line names a place, as
`# minigrad/ops.py: mul`, from whose source the rest is quoted. What a block of text right below a
block of Python has is what that one prints; a console block has commands and what these print. A
line of three dots stands for what is left out.
"""

import ast
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from experiments.cli import _parser
from experiments.options import changed
from experiments.registry import find
from optim.named import named

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INDENTS = range(0, 20, 4)  # by which a quote may stand further left than its source


class Block(NamedTuple):
    """A fenced block: its language, its text, the line where that begins, and what is said to be
    printed, if anything."""

    language: str
    text: str
    line: int
    output: str | None

    @property
    def place(self) -> tuple[str, str] | None:
        """The file and the name in it that a quote is from."""
        found = re.match(r"# ([\w/]+\.py): ([\w.]+)\n", self.text)
        return (found[1], found[2]) if found and self.language == "python" else None


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = path.read_text("utf-8")
    found = r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?"
    for block in re.finditer(found, text, re.DOTALL | re.MULTILINE):
        yield Block(block[1], block[2], text.count("\n", 0, block.start(2)), block[3])


def run(path: Path) -> Iterator[dict[str, Any]]:
    """Run the blocks of a page one after the other, and compare what they print with what the page
    says; yields the names that there are after each."""
    names: dict[str, Any] = {"__name__": path.stem}
    for block in blocks(path):
        if block.language != "python" or block.place:
            continue
        code = compile("\n" * block.line + block.text, str(path), "exec")  # for lines in errors
        if block.output is None:
            exec(code, names)
        else:
            with redirect_stdout(io.StringIO()) as printed:
                exec(code, names)
            assert shows(block.output, printed.getvalue()), printed.getvalue()
        yield names


def check_command(module: str, words: list[str]) -> None:
    """Raise where `python -m module` would not take these words; for an experiment also where it
    has no such setting, or not in that range."""
    assert find_spec(module), module
    if module == "experiments":
        options = _parser().parse_args(words)
        chosen = [find(name) for name in vars(options).get("names", ())]
        changes = changed(options, chosen) if chosen else {}
        for experiment in chosen:
            mine = {k: v for k, v in changes.items() if k in vars(experiment.settings)}
            experiment.configured(mine, options.quick)
    elif module == "optim" and words:
        assert words[0] == "show" and named(words[1]), words


def printed_by(command: str) -> str:
    """What a command prints that is a module of Python."""
    python, dash_m, *words = shlex.split(command)
    assert (python, dash_m) == ("python", "-m"), command
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return done.stdout


def shows(text: str, whole: str) -> bool:
    """Whether a text is the whole; where it has lines of three dots, whether its parts are in the
    whole, in their order, the first at its beginning and the last at its end."""
    parts = re.split(r"^ *\.\.\.\n", text, flags=re.MULTILINE)
    if len(parts) == 1 or not whole.startswith(parts[0]) or not whole.endswith(parts[-1]):
        return text == whole
    return _in_order(parts, whole)


def quotes(text: str, source: str) -> bool:
    """Whether a text has whole lines of the source, in their order, but for how far they are
    indented, with lines of three dots for what is left out."""
    for indent in INDENTS:
        lines = (" " * indent + line if line.strip() else line for line in text.splitlines(True))
        parts = re.split(r"^ *\.\.\.\n", "".join(lines), flags=re.MULTILINE)
        if _in_order([f"\n{part}" for part in parts], f"\n{source}"):
            return True
    return False


def _in_order(parts: list[str], whole: str) -> bool:
    """Whether the parts are found in the whole, each after the one before it."""
    at = 0
    for part in parts:
        at = whole.find(part, at)
        if at < 0:
            return False
        at += len(part) - part.endswith("\n")  # with which the next may begin
    return True


def source_of(file: str, name: str) -> str:
    """The lines of a class or function, by its dotted name, with its decorators."""
    text = (ROOT / file).read_text("utf-8")
    node: Any = ast.parse(text)
    for part in name.split("."):
        kinds = ast.ClassDef | ast.FunctionDef
        inner = [n for n in ast.walk(node) if isinstance(n, kinds) and n.name == part]
        assert inner, f"{file} has no {name}"
        node = inner[0]
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return "".join(text.splitlines(True)[first - 1 : node.end_lineno])
