"""The report as HTML that needs nothing beside itself, and as Markdown beside its figures."""

from html import escape
from importlib.resources import files
from inspect import getsource
from pathlib import Path

from experiments.page.runs import Claim
from experiments.report.card import Card, Section
from minigrad.checkpoint import atomic_write


def save(card: Card) -> list[Path]:
    """Write report.html and report.md."""
    written = {"report.html": html(card), "report.md": markdown(card)}
    for name, text in written.items():
        with atomic_write(card.folder / name) as file:
            file.write(text.encode())
    return [card.folder / name for name in written]


def markdown(card: Card) -> str:
    """The report as Markdown."""
    parts = [f"# {card.rule.label}", card.verdict]
    for one in card.sections:
        parts += [f"## {one.heading}", "\n".join(f"- {said}" for said in one.sentences)]
        if one.run:
            claim = Claim(card.folder / one.run)
            parts += [f"![{claim.verdict}]({one.run}/figure.png)", claim.caption]
            parts += [f"    {claim.command}"]
    return "\n\n".join([*parts, "## Its lines", f"```python\n{getsource(card.rule.rule)}```\n"])


def html(card: Card) -> str:
    """The report as HTML."""
    style = files("experiments.page").joinpath("page.css").read_text("utf-8")
    label, sections = escape(card.rule.label), "\n".join(_section(card, s) for s in card.sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{label}</title>
<link rel="icon" href="data:,">
<style>
{style}
</style>
</head>
<body>
<header><h1>{label}</h1></header>
<main>
<p>{escape(card.verdict)}</p>
{sections}
<section>
<h2>Its lines</h2>
<pre>{escape(getsource(card.rule.rule))}</pre>
</section>
</main>
</body>
</html>
"""


def _section(card: Card, one: Section) -> str:
    said = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in one.sentences)
    text = f"<section>\n<h2>{escape(one.heading)}</h2>\n<ul>\n{said}\n</ul>"
    if one.run:
        claim = Claim(card.folder / one.run)
        text += f"""
<figure class="claim">{claim.figure}</figure>
<p class="note">{escape(claim.caption)}</p>
<p><code>{escape(claim.command)}</code></p>"""
    return f"{text}\n</section>"
