"""The table of rules, and the parametrizations that run over it."""

import pytest

from tests.rules import (
    adam,
    adaptive,
    delayed,
    denominator,
    descent,
    long_memory,
    matrix,
    numerator,
    parameter_free,
    per_tensor,
    schedule_free,
)

FAMILIES = (
    descent,
    adaptive,
    adam,
    numerator,
    denominator,
    long_memory,
    delayed,
    per_tensor,
    matrix,
    parameter_free,
    schedule_free,
)
TABLE = {rule: row for family in FAMILIES for rule, row in family.ROWS.items()}
every_rule = pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.__name__)
every_elementwise_rule = pytest.mark.parametrize(
    "rule", [rule for rule, row in TABLE.items() if row.elementwise], ids=lambda rule: rule.__name__
)

every_flat_rule = pytest.mark.parametrize(
    "rule", [rule for rule in TABLE if not rule.per_tensor], ids=lambda rule: rule.__name__
)
