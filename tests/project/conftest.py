import pytest

from minigrad import tape
from optim import RULES


@pytest.fixture(autouse=True)
def rules_and_ops_of_the_project_alone():
    """What pages define is forgotten."""
    rules, ops = dict(RULES), dict(tape.OPS)
    yield
    for known, before in ((RULES, rules), (tape.OPS, ops)):
        known.clear()
        known.update(before)
