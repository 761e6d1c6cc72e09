"""Break every rule in many small ways, and see that its tests notice.

    python -m tests.rules.mutants [RULE ...]

Each function of a rule is changed in one place at a time: a statement dropped, a state array not
written back, a beta exchanged for the other, the correction left out, a sum made a difference, a
maximum a minimum, a root left out, the two sides of a `where` exchanged, a copy not made. A mutant
that passes every check is printed; some change nothing that can be seen.
"""

import ast
import copy
import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np

import optim
from tests import conftest  # noqa: F401 (first: examples without a deadline)
from tests.rules import test_denominator, test_descent, test_rules
from tests.rules.recorded import RECORDED
from tests.rules.table import TABLE

OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
CALLS = {"maximum": "minimum", "minimum": "maximum"}
COMPARISONS = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}
NAMES = {"beta1": "beta2", "beta2": "beta1", "beta1_t": "beta2_t", "beta2_t": "beta1_t"}
PLACES = {"betas[0]": "betas[1]", "betas[1]": "betas[0]"}


IDENTITIES = {  # that tell what trajectories of the table do not
    optim.ASGD: [
        partial(
            test_descent.test_asgd_evaluates_with_the_mean_of_the_weights_after_t0, feasible=None
        )
    ],
    optim.AdaBound: [
        test_denominator.test_adabound_unbounded_is_adam,
        partial(test_denominator.test_adabound_warms_up_from_a_rate_of_0, optim.AdaBound),
    ],
    optim.AMSBound: [
        partial(
            test_denominator.test_adabound_keeps_its_rates_within_their_bounds, rule=optim.AMSBound
        )
    ],
    optim.Signum: [
        partial(test_descent.test_lion_with_one_beta_and_no_decay_is_signum, dtype="float64")
    ],
}


def main() -> None:
    """Print the survivors of every rule, or of those named."""
    names = [name.lower() for name in sys.argv[1:]] or [rule.__name__.lower() for rule in TABLE]
    survivors = total = 0
    with ProcessPoolExecutor() as pool:
        for name, (count, lived) in zip(names, pool.map(try_rule, names), strict=True):
            total, survivors = total + count, survivors + len(lived)
            print(f"{name}: {count} mutants, {len(lived)} live", *lived, sep="\n    ", flush=True)
    print(f"{total} mutants, {survivors} live")


def try_rule(name: str) -> tuple[int, list[str]]:
    """How many mutants a rule has, and which of them pass its tests."""
    rule = optim.RULES[name]
    assert not noticed(rule), f"{name} fails without a mutation"
    count, lived = 0, []
    for attribute, original in list(vars(rule).items()):
        function = getattr(original, "__func__", original)
        if not inspect.isfunction(function) or function.__code__.co_filename == "<string>":
            continue  # no function, or one that the dataclass made
        if hasattr(function, "__wrapped__"):
            continue  # decorated, with globals that are not the rule's
        if not function.__qualname__.startswith(f"{rule.__qualname__}."):
            continue  # another rule's
        for said, mutant in mutants(rule, function):
            count += 1
            setattr(rule, attribute, staticmethod(mutant) if function is not original else mutant)
            if not noticed(rule):
                lived.append(f"{attribute}: {said}")
        setattr(rule, attribute, original)
    return count, lived


def noticed(rule: Any) -> bool:
    """Whether a check of the rule fails."""
    try:
        with np.errstate(all="ignore"):
            for check in checks(rule):
                check()
    except Exception:
        return True
    return False


def checks(rule: Any) -> Iterator[Callable[[], None]]:
    """What the table's tests do with one rule, the quickest first."""
    row = TABLE[rule]
    for case in RECORDED:
        if case.rule is rule:
            yield lambda case=case: test_rules.test_follows_the_recorded_implementation(case)
    for settings in row.cases:
        if row.paper:
            yield lambda s=settings: test_rules.test_follows_the_paper(rule, s)
        if row.scalar:
            yield lambda s=settings: test_rules.test_follows_the_paper_coordinate_by_coordinate(
                rule, s
            )
    yield lambda: test_rules.test_metric_is_what_divides_the_step(rule)
    yield lambda: test_rules.test_state_is_what_the_kernel_names(rule)
    yield lambda: test_rules.test_weights_that_were_moved_between_steps_stay_there(rule, 5)
    for dtype in ("float32", "float64"):
        yield lambda dtype=dtype: test_rules.test_zero_gradients_never_move_parameters(rule, dtype)
        yield lambda dtype=dtype: test_rules.test_tiny_gradients_move_parameters_by_little(
            rule, dtype
        )
        yield lambda dtype=dtype: test_rules.test_keeps_the_dtype(rule, dtype)
    yield lambda: test_rules.test_reaches_the_minimum_of_a_quadratic(rule)
    yield from IDENTITIES.get(rule, ())


def mutants(rule: type, function: Any) -> Iterator[tuple[str, Any]]:
    """Every change of one place, as (what it says, the function)."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):  # the class cell that super() wants exists in class bodies only
        if isinstance(node, ast.Call) and ast.unparse(node) == "super()":
            node.args = [ast.Name(rule.__name__, ast.Load()), ast.Name("self", ast.Load())]
    definition: Any = tree.body[0]
    definition.decorator_list = []
    places = list(ast.walk(tree))
    for i, place in enumerate(places):
        for replacement in replacements(place):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[i]
            before = ast.unparse(target)
            changed = ast.fix_missing_locations(Put(target, replacement).visit(changed))
            scope: dict[str, Any] = {}
            exec(compile(changed, "mutant", "exec"), function.__globals__, scope)
            after = ast.unparse(replacement) if replacement is not None else "(nothing)"
            yield f"{before}  ->  {after}", scope[function.__name__]


class Put(ast.NodeTransformer):
    """Puts a node in the place of another; None drops a statement."""

    def __init__(self, target: ast.AST, replacement: Any):
        self.target, self.replacement = target, replacement

    def visit(self, node: ast.AST) -> Any:
        if node is self.target:
            return ast.Pass() if self.replacement is None else self.replacement
        return self.generic_visit(node)


def replacements(node: ast.AST) -> Iterator[Any]:
    """What may stand in the place of a node."""
    node = copy.deepcopy(node)
    if isinstance(node, (ast.AugAssign, ast.Assign, ast.Expr)) and not is_docstring(node):
        yield None
    if isinstance(node, ast.AugAssign):
        store = copy.deepcopy(node.target)
        load = ast.parse(ast.unparse(store), mode="eval").body
        if isinstance(store, ast.Name):  # computed, but not written back to the array
            yield ast.Assign([store], ast.BinOp(load, node.op, node.value))
        if type(node.op) in OPERATORS:
            yield ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        if ast.unparse(node).startswith("1 - "):  # no correction
            yield node.left
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)
    if isinstance(node, ast.Subscript) and ast.unparse(node) in PLACES:
        yield ast.parse(PLACES[ast.unparse(node)], mode="eval").body
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called == "xp.sqrt" and node.args:
            yield node.args[0]
        if called.endswith(".copy") and isinstance(node.func, ast.Attribute):
            yield node.func.value
        if called == "xp.where":
            yield ast.Call(node.func, [node.args[0], *node.args[:0:-1]], [])
        if called.startswith("xp.") and called[3:] in CALLS:
            other = ast.parse(f"xp.{CALLS[called[3:]]}", mode="eval").body
            yield ast.Call(other, node.args, node.keywords)
        if node.keywords and any(k.arg == "out" for k in node.keywords):
            yield ast.Call(node.func, node.args, [k for k in node.keywords if k.arg != "out"])
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield ast.Name(NAMES[node.id], ast.Load())


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
