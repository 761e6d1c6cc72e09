"""What `python -m experiments hunt` does."""

from pathlib import Path

from experiments.hunt import figure, report, table
from experiments.hunt.hunted import Hunted
from experiments.hunt.problems import Spiked
from experiments.hunt.search import hunt
from minigrad.checkpoint import atomic_write


def one_rule(name: str, schedule: str | None, out: Path) -> None:
    """Hunt a rule; print what was found, and write it to a directory of its name, with the figure
    of what is worst."""
    hunted = Hunted.of(name, schedule)
    print(f"hunting {hunted}", flush=True)
    found = hunt(hunted)
    print(*report.lines(found), sep="\n")
    directory = out / hunted.name
    directory.mkdir(parents=True, exist_ok=True)
    with atomic_write(directory / table.JSON) as file:
        file.write(table.as_json({str(hunted): table.as_row(found)}).encode())
    shown = next((one for one in found.findings if isinstance(one.of, Spiked)), None)
    if shown:
        print(*figure.save(hunted, shown, directory), sep="\n")


def all_rules(directory: Path, force: bool) -> None:
    """Make the table, or go on with it."""
    table.make(directory, force, lambda text: print(text, flush=True))
