"""The page from its parts: what was run, what was printed, the scripts and the style."""

import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from string import Template

from experiments.page import hunts, rules, runs, schedules
from experiments.page.printed import Lab
from optim.named import NamedRule

SCRIPTS = (
    *("engine.js", "charts.js", "settings.js", "controls.js", "online.js"),
    *("period.js", "plane.js", "ranking.js", "tables.js", "page.js"),
)


def build(folders: list[Path], given: Iterable[NamedRule] = ()) -> str:
    """The page as HTML: the runs and the hunts of these folders, and a lab with these rules.

    Raises ValueError for rules that fix hyperparameters.
    """
    lab, claims = Lab(given), runs.read(folders)
    return Template(_part("page.html")).substitute(
        style=_part("page.css"),
        claims=runs.html(claims),
        hunts=hunts.html(folders),
        rules=rules.html(lab),
        printed=in_script(printed(lab, *claims)),
        script=in_script("\n".join(map(_part, SCRIPTS))),
        rounded_rules=", ".join(lab.rounded("rules")),
        rounded_schedules=", ".join(lab.rounded("schedules")),
        lacking=", ".join(sorted(schedules.LACKING)),
    )


def printed(lab: Lab, *claims: runs.Claim) -> str:
    """PRINTED and DATA, which the scripts read."""
    data = lab.data
    for found in filter(None, (claim.ranking for claim in claims)):
        data["tournament"] = found.data
        data["defaults"]["shown"] = found.shown
    return f"{lab.javascript}\nconst DATA = {json.dumps(data, allow_nan=False)};"


def engine() -> str:
    """What computes, without a document: for node."""
    return f"{printed(Lab())}\n{_part('engine.js')}"


def in_script(text: str) -> str:
    """JavaScript as it may stand between <script> and its end."""
    return text.replace("</", "<\\/").replace("<!--", "<\\!--")


def _part(name: str) -> str:
    return files("experiments.page").joinpath(name).read_text("utf-8")
