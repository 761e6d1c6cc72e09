"""Rules of one's own, by file and name: mine.py:Mine."""

import importlib.util
import sys
from pathlib import Path

from optim import Optimizer


def load(text: str) -> type[Optimizer]:
    """The rule; raises ValueError where there is none."""
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not file or not path.is_file():
        raise ValueError(f"--rules {text!r}: give a file and the name of a rule, as mine.py:Mine.")
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"--rules {text!r}: {path} is no file of Python; rename it to end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where inspect looks for its lines
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever is wrong in it
        raise ValueError(f"--rules {text!r}: {path} does not run: {error!r}.") from error
    rule = getattr(module, name, None)
    if not (isinstance(rule, type) and issubclass(rule, Optimizer)):
        raise ValueError(
            f"--rules {text!r}: {path} has no rule {name}; name a class of optim.Optimizer."
        )
    return rule
