"""The claims: what each run directory holds, as a card of the gallery.

All that is known here of a run directory's files is in Claim.
"""

import base64
import gzip
import io
import json
import re
import shlex
import sys
from dataclasses import fields
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from experiments.experiment import Finding
from experiments.page.ranking import Ranking
from experiments.record.directory import COMPLETE, MANIFEST, RunDirectory
from experiments.registry import EXPERIMENTS, PAPER
from experiments.result import FINDINGS
from optim.engine.formula import GREEK, SUBSCRIPTS

LARGEST_TABLE = 300_000  # characters of the page, which is to stay under 8 MB
LETTERS = {**GREEK, "Gamma": "Γ"}
THUMBNAIL, COLORS = (480, 480), 32  # at most so many pixels, which are twice those that are seen


class Claim:
    """A whole run of an experiment, read from its directory."""

    def __init__(self, path: Path):
        self.directory = RunDirectory(path)
        self.manifest = self.directory.manifest
        self.experiment = EXPERIMENTS[self.manifest["experiment"]]
        self.name = self.experiment.name
        try:
            self.settings = self.experiment.configured(self.manifest["settings"])
        except ValueError as error:
            raise ValueError(f"{path} is of another version: {error} Run it again.") from None
        found = self.directory.read(FINDINGS, json.loads)
        self.verdict, self.caption = found["verdict"], found["caption"]
        self.findings = [Finding(**one) for one in found["findings"]]

    @property
    def introduction(self) -> str:
        """The caption without the findings, which it may repeat."""
        text = self.caption
        for one in self.findings:
            text = text.replace(one.text, "")
        return " ".join(text.split())

    @property
    def figure(self) -> str:
        """Its SVG, to stand in HTML, whose names are its own."""
        text = self.directory.read("figure.svg", bytes.decode)
        text = text[text.index("<svg") :]
        for before in ('id="', 'href="#', "url(#"):
            text = text.replace(before, f"{before}{self.name}-")
        alt = escape(self.caption)
        return re.sub("<svg", f'<svg role="img" aria-label="{alt}"', text, count=1)

    @property
    def thumbnail(self) -> str:
        """Its PNG, small, as an address; black on white."""
        small = self.directory.read("figure.png", _small)
        return f"data:image/png;base64,{base64.b64encode(small).decode()}"

    @property
    def tables(self) -> dict[str, bytes]:
        """The numbers of the figure, and what other tables there are, as CSV."""
        others = {path.name for path in self.directory.path.glob("*.csv")} - {"figure.csv"}
        return {name: self.directory.read(name, bytes) for name in ("figure.csv", *sorted(others))}

    @cached_property
    def ranking(self) -> Ranking | None:
        """What only a tournament has."""
        return Ranking(self.directory) if self.name == "tournament" else None

    @property
    def command(self) -> str:
        """What makes it."""
        shown = [f.name for f in fields(self.settings) if f.repr]
        given = {name: getattr(self.settings, name) for name in shown}
        usual = self.experiment.settings
        changed = {n: value for n, value in given.items() if value != getattr(usual, n)}
        rules = changed.pop("rules", ())
        options = [f"--rules {shlex.quote(_written(rules))}"] if rules else []
        options += [f"--set {shlex.quote(f'{n}={_written(v)}')}" for n, v in changed.items()]
        return " ".join([f"python -m experiments run {self.name}", *options])


def _written(value: Any) -> str:
    """A value as --rules and --set take it, several with commas between."""
    several = isinstance(value, tuple) and all(isinstance(one, str | int | float) for one in value)
    return ",".join(map(str, value)) if several and value else str(value)


def _small(png: bytes) -> bytes:
    small = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.thumbnail(THUMBNAIL)
        image.convert("RGB").quantize(COLORS).save(small, "png", optimize=True)
    return small.getvalue()


def read(folders: list[Path]) -> list[Claim]:
    """The whole runs in these folders, in the order of the registry; of two of an experiment that
    of the later folder. Says which folders are none."""
    found = {}
    for folder in folders:
        if not folder.is_dir():
            print(f"{folder} is left out: there is no such folder.", file=sys.stderr)
        for path in sorted(folder.glob(f"*/{MANIFEST}")):
            manifest = RunDirectory(path.parent).manifest
            if manifest["status"] == COMPLETE and manifest["experiment"] in EXPERIMENTS:
                found[manifest["experiment"]] = Claim(path.parent)
    return [found[name] for name in EXPERIMENTS if name in found]


def html(claims: list[Claim]) -> str:
    """The gallery: what the paper has, and what has been said since."""
    if not claims:
        return "<p>Nothing has been run yet: <code>python -m experiments all</code></p>"
    of_paper = [claim for claim in claims if claim.name in PAPER]
    since = [claim for claim in claims if claim.name not in PAPER]
    groups = [("The paper's figures and theorems", of_paper), ("What has been said since", since)]
    return "<p>A click opens what a figure shows.</p>\n" + "\n".join(
        f"<h3>{heading}</h3>\n<div class='cards'>\n{''.join(map(_card, found))}</div>"
        for heading, found in groups
        if found
    )


def _card(claim: Claim) -> str:
    lines = (f"<li>{mathematics(one.text)}{_stated(one)}</li>" for one in claim.findings)
    findings = "\n".join(["<ul>", *lines, "</ul>"])
    if claim.ranking:
        words = f"<details><summary>In words</summary>{findings}</details>"
        findings = f"{claim.ranking.html}\n{words}"
    return f"""<details class="claim" id="claim-{claim.name}">
<summary><img src="{claim.thumbnail}" alt="{escape(claim.caption)}">
<h4>{mathematics(claim.verdict)}</h4>
<p class="note">{claim.name}: {mathematics(claim.experiment.summary)}</p></summary>
<div class="scroll" data-figure="figure-{claim.name}"></div>
<p class="sideways"><button type="button" data-full aria-pressed="false">Full size</button></p>
{_packed(f"figure-{claim.name}", claim.figure.encode())}
<p>{mathematics(claim.introduction)}</p>
{findings}
{_without_numbers(claim)}<p><code>{escape(claim.command).replace(",", ",<wbr>")}</code></p>
{"".join(_download(claim, *table) for table in claim.tables.items())}
</details>
"""


def _stated(finding: Finding) -> str:
    """The literature's numbers beside ours."""
    if not finding.stated:
        return ""
    rows = "\n".join(
        f"<tr><td>{mathematics(name)}</td><td>{finding.numbers[name]:.5g}</td><td>{value:.5g}</td></tr>"
        for name, value in finding.stated.items()
    )
    head = "".join(f'<th scope="col">{text}</th>' for text in ("", "ours", "the literature's"))
    return f'<div class="scroll"><table><tr>{head}</tr>\n{rows}</table></div>'


def _without_numbers(claim: Claim) -> str:
    """That the paper has no number to stand beside ours, where it has none."""
    if claim.name not in PAPER or any(one.stated for one in claim.findings):
        return ""
    return '<p class="note">The paper gives no number to compare with.</p>\n'


def mathematics(text: str) -> str:
    """A sentence of an experiment as HTML, its letters and roots as the lab writes them."""
    text = re.sub(rf"\b({'|'.join(LETTERS)})(\d?)(?=_|\b)", _letter, escape(text))
    text = re.sub(r"\bsqrt\((\w+)\)", r"√\1", text).replace("sqrt(", "√(")
    # One letter, which may have a digit; names of rules may have an underscore too
    text = re.sub(r"(?<![\w.])([^\W\d_][\d₀-₉]?)_(\w|[a-z\d]+)\b", r"\1<sub>\2</sub>", text)
    return re.sub(r"\^(-?[\w.]*\w)", r"<sup>\1</sup>", text)


def _letter(found: re.Match[str]) -> str:
    return LETTERS[found[1]] + found[2].translate(SUBSCRIPTS)


def _download(claim: Claim, file: str, table: bytes) -> str:
    of_figure = file == "figure.csv"
    key = f"table-{claim.name}" if of_figure else f"{claim.name}-{file.removesuffix('.csv')}"
    packed = _packed(key, table)
    if len(packed) > LARGEST_TABLE:
        return f"<p>Its numbers are in {file} of the run; they are too many to carry here.</p>\n"
    what = "its numbers, CSV" if of_figure else file
    return f'<p><button type="button" data-csv="{key}">Save {what}</button></p>\n{packed}\n'


def _packed(key: str, content: bytes) -> str:
    """What the page unpacks where it is asked for."""
    packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'<script type="application/gzip" id="{key}">{packed}</script>'
