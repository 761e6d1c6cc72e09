"""The table of hunts, as `python -m experiments hunt` leaves it in a folder."""

import json
from pathlib import Path

from experiments.hunt.table import JSON
from experiments.hunt.written import COLUMNS, cells
from experiments.page.runs import mathematics

NOTE = """For every rule the simplest problem that was found on which its average regret does not
vanish, or how many were tried in vain, which is no proof. What the words mean, and what each row
rests on, is in docs/hunt.md."""


def html(folders: list[Path]) -> str:
    """The section; nothing where no folder has a table. Of two tables, that of the later folder."""
    paths = [path for folder in folders if (path := folder / JSON).exists()]
    if not paths:
        return ""
    head = "".join(
        f'<th scope="col"><button type="button">{mathematics(column)}</button></th>'
        for column in COLUMNS
    )
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{mathematics(cell)}</td>' for cell in cells(name, row))}</tr>"
        for name, row in json.loads(paths[-1].read_text("utf-8")).items()
    )
    return f"""<h3>The hunt</h3>
<p class="note">{NOTE}</p>
<div class="scroll"><table class="sortable">
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>"""
