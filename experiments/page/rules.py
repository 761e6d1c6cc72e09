"""The rules as a table to sort and search, and a section for each."""

import inspect
from html import escape
from typing import Any

from experiments.page.printed import Lab
from optim import Optimizer
from optim.__main__ import SIZE, on_a_network
from optim.engine.formula import of_program
from optim.engine.kinds import MEANINGS, kinds
from optim.engine.passes import FlatPass
from optim.engine.settings import leaves

HEADINGS = ("rule", "family", "what it does", "state", "compared with", "in the lab")


def html(lab: Lab) -> str:
    """The table, and below it the sections."""
    rules = lab.every
    head = "".join(
        f'<th scope="col"><button type="button">{heading}</button></th>' for heading in HEADINGS
    )
    rows = "\n".join(_row(rule, lab) for rule in rules)
    sections = "\n".join(_section(rule, lab) for rule in rules)
    return f"""
<p><label>Search <input id="search" type="search"></label>
<span id="found" role="status">{len(rules)} of {len(rules)} rules</span></p>
<p class="note">State is in values per parameter of an MLP 784-100-10. Each rule is compared step by
step with the implementation in the column beside it, which is not ours, or with a transcription of
its paper.</p>
<p class="note sideways">The table goes on to the right: scroll it sideways.</p>
<div class="scroll"><table id="rule-table" class="sortable">
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
{sections}
"""


def _row(rule: type[Optimizer], lab: Lab) -> str:
    name = rule.__name__
    cells = [
        f'<a href="#rule-{name}">{name}</a>',
        _family(rule),
        escape(_summary(rule)),
        _state(rule),
        f"<code>{escape(rule.oracle)}</code>",
        "yes" if name in lab.rules else "no",
    ]
    return f'<tr data-rule="{name}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _section(rule: type[Optimizer], lab: Lab) -> str:
    name, oracle = rule.__name__, escape(rule.oracle)
    evidence = {"": "none: it is your own", "the paper": "a transcription of its paper"}
    opt = on_a_network(rule)
    flat = [one for one in opt._passes.values() if isinstance(one, FlatPass)]
    formula = "\n".join(line for one in flat for line in of_program(one.program))
    more = len(flat) < len(opt._passes) or opt.writes_state
    tried = f'<p><a href="#lab?rules=Adam,{name}">Try it beside Adam</a></p>'
    return f"""<details class="rule-page" id="rule-{name}" data-rule="{name}">
<summary>{name}</summary>
<p>{escape(inspect.cleandoc(vars(rule)["__doc__"].own or ""))}</p>
{tried if name in lab.rules else ""}
<h4>What a step does</h4>
<pre>{escape(formula) or "It is called for each tensor."}</pre>
{"<p>Its update does more than these passes: see its lines.</p>" if more else ""}
<h4>Its lines</h4>
<pre>{escape(inspect.getsource(rule))}</pre>
{_hyperparameters(rule)}
<p>State, in values per parameter: {_state(rule)}.
Compared with {evidence.get(rule.oracle, f"<code>{oracle}</code>")}.</p>
</details>"""


def _hyperparameters(rule: type[Optimizer]) -> str:
    rows = []
    for name, default in rule.hyperparameters().items():
        kind = kinds(rule)[name]
        for (place, value), one in zip(
            leaves(name, default), kind if isinstance(kind, tuple) else (kind,), strict=True
        ):
            meaning = one.meaning or MEANINGS.get(name, "")
            cells = (place, repr(value), one.range, meaning)
            rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    head = "".join(f'<th scope="col">{one}</th>' for one in ("setting", "default", "range", ""))
    return f'<div class="scroll"><table><tr>{head}</tr>\n{body}</table></div>'


def _family(rule: type[Optimizer]) -> str:
    place = rule.__module__
    return place.removeprefix("optim.rules.").replace("_", " ") if "optim." in place else "your own"


def _summary(rule: Any) -> str:
    return " ".join((rule.__doc__ or "").split("\n\n")[0].split())


def _state(rule: type[Optimizer]) -> str:
    state = on_a_network(rule).state
    names = f" ({', '.join(state)})" if state else ""
    return f"{sum(array.size for array in state.values()) / SIZE:.3g}{names}"
