"""README and every page of docs/: their quotes, commands and links; and the tour, whose blocks
need no more than that."""

import re
import shlex

import pytest

from tests.driving import host_only
from tests.project.pages import (
    PAGES,
    ROOT,
    blocks,
    check_command,
    printed_by,
    quotes,
    run,
    shows,
    source_of,
)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
PLACEHOLDER = re.compile(r"\b(NAME|DIR|FILE)\b")


@every_page
def test_the_files_it_names_exist(page):
    text = page.read_text("utf-8")
    for path in re.findall(r"`((?:minigrad|optim|experiments|tests)/[\w/]*(?:\.\w+)?)`", text):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^):#]+)\)", text):
        assert (page.parent / link).exists(), link


@every_page
def test_what_it_quotes_is_in_the_source(page):
    for block in blocks(page):
        if block.place:
            text = block.text.partition("\n")[2]
            assert quotes(text, source_of(*block.place)), f"line {block.line} of {page.name}"


@pytest.mark.parametrize(
    ("text", "is_quoted"),
    [
        ("a = 1\nb = 2\n", True),
        ("    b = 2\n", True),
        ("a = 1\n...\nreturn c\n", True),
        ("a = 1\n\nreturn c\n", False),  # not the lines between
        ("a = 1\nreturn c\n", False),
        ("return c\n...\na = 1\n", False),  # not their order
        ("a = 1\n    b = 2\n", False),  # not how they stand to each other
        ("= 1\n", False),
        ("return\n", False),
        ("a = 3\n", False),
    ],
)
def test_a_quote_has_whole_lines_in_order(text, is_quoted):
    source = "def f():\n    a = 1\n    b = 2\n\n    c = a + b\n    return c\n"
    assert quotes(text, source) == is_quoted


@host_only
@every_page
def test_its_commands_print_what_it_says(page):
    for block in blocks(page):
        if block.language == "console":
            command, _, said = block.text.partition("\n")
            printed = printed_by(command.removeprefix("$ "))
            assert shows(said, printed), f"line {block.line} of {page.name}: {printed}"


@every_page
def test_its_commands_can_be_given(page, monkeypatch):
    """Also that settings are ones of the experiments, and in their range."""
    monkeypatch.chdir(ROOT / "tests")  # where mine.py is
    for module, words in commands(page.read_text("utf-8")):
        check_command(module, words)


def commands(text):
    """The module and the words of each command, inline or on a line of its own, but for those with
    a placeholder."""
    inline = [" ".join(span.split()) for span in re.findall(r"`(python\s-m\s[^`]*)`", text)]
    lines = re.findall(r"^(?:    |\$ )(python -m [^#\n]*)", text, re.MULTILINE)
    for command in (*inline, *lines):
        if not PLACEHOLDER.search(command):
            _, _, module, *words = shlex.split(command)
            yield module, words


@host_only
def test_the_blocks_of_the_tour_print_what_it_says():
    *_, names = run(ROOT / "docs/tour.md")
    assert names["params"].size == 784 * 100 + 100 + 100 * 10 + 10
