"""Functions of numbers, traced: what they do, as formulas, and what cannot be traced."""

import numpy as np
import pytest

import optim
from minigrad import Tensor
from optim.engine.expression import gradient, of_schedule, traced
from optim.engine.formula import of_expression, of_program, symbol
from optim.engine.hoist import evaluate
from optim.engine.program import Value
from optim.engine.whole import step_program
from optim.schedules import Constant, CosineRestarts, Linear, Power, Sequence, WarmUp


def values(expression, *numbers):
    """What an expression gives for numbers, entry by entry."""
    known = dict(zip(expression.arguments.values(), map(np.float64, numbers), strict=True))

    def of(x):
        return known[x] if isinstance(x, Value) else np.float64(x)

    for entry in expression.entries:
        known[entry.out] = evaluate(entry, [of(x) for x in entry.inputs])
    return [float(of(x)) for x in expression.results]


def bent(x, y, scale):
    return (1 - x) ** 2 + scale * (y - x**2) ** 2 + x / y


def test_a_gradient_is_that_of_minigrad():
    expression = gradient("bent", bent, ["x", "y"], ["scale"])
    for x, y in ((0.3, 2.0), (-1.7, 0.1)):
        leaves = [Tensor(z, requires_grad=True, dtype="float64") for z in (x, y)]
        bent(*leaves, 100.0).backward()
        assert values(expression, x, y, 100.0) == [leaf.grad.item() for leaf in leaves]


def test_a_gradient_has_no_entry_that_it_does_not_need():
    expression = gradient("square", lambda x, y: x * x + 3 * y, ["x", "y"])
    assert values(expression, 5.0, 7.0) == [10.0, 3.0]
    needed = {x for entry in expression.entries for x in entry.inputs} | {*expression.results}
    assert all(entry.out in needed for entry in expression.entries)


def test_a_backward_pass_leaves_the_backend_as_it_was():
    gradient("square", lambda x: x * x, ["x"])
    assert isinstance(Tensor([1.0, 2.0]).data, np.ndarray)


def bent_twice(x, y):
    if x > 1:
        return max(x, y) - 1
    whole, rest = divmod(x, 0.25)
    return min(rest if y else whole, 3 * y) + (2 if 0 < y < 1 else 0)


def test_follows_every_way_through_a_function():
    expression = traced("bent_twice", bent_twice, ["x", "y"])
    for x in (-2.0, 0.3, 1.0, 1.5):
        for y in (-1.0, 0.0, 0.5, 2.0, float("nan")):
            np.testing.assert_array_equal(values(expression, x, y), [bent_twice(x, y)])


def test_what_two_ways_share_is_computed_once():
    expression = traced("f", lambda x: x * x if x > 0 else x * x + 1, ["x"])
    assert [e.function for e in expression.entries] == ["greater", "multiply", "add", "where"]


def test_refuses_a_loop_whose_length_is_not_known():
    def halved(x):
        while x > 1:
            x = x / 2
        return x

    with pytest.raises(TypeError, match=r"`if` or `while` more than 12 times"):
        traced("halved", halved, ["x"])


def test_both_zeros_are_kept_apart():
    expression = traced("f", lambda x: x * -0.0 if x > 0 else x * 0.0, ["x"])
    assert np.signbit([values(expression, x)[0] for x in (1.0, -1.0)]).all()


def test_a_schedule_takes_t_and_its_numbers():
    expression = of_schedule(Linear(1.0, 0.0, 10))
    assert list(expression.arguments) == ["t", "start", "end", "steps"]
    assert values(expression, 3, 0.8, 0.2, 4) == [Linear(0.8, 0.2, 4)(3)]


def test_a_schedule_of_schedules_takes_the_numbers_of_each():
    expression = of_schedule(Sequence((Constant(1.0), WarmUp(2, Power(1.0, 2.0))), (9,)))
    assert list(expression.arguments) == [
        *("t", "schedules[0].value", "schedules[1].steps"),
        *("schedules[1].schedule.value", "schedules[1].schedule.exponent", "milestones[0]"),
    ]
    schedule = Sequence((Constant(0.3), WarmUp(4, Power(0.7, 2.0))), (5,))
    for t in (1, 5, 6, 9, 10, 11):
        assert values(expression, t, 0.3, 4, 0.7, 2.0, 5)[0] == schedule(t)


def test_a_schedule_may_keep_a_number_that_a_loop_depends_on():
    schedule = CosineRestarts(0.8, 0.2, 5)
    with pytest.raises(TypeError, match="CosineRestarts"):
        of_schedule(schedule)
    expression = of_schedule(schedule, fixed=["growth"])
    assert list(expression.arguments) == ["t", "start", "end", "steps"]
    for t in (1, 5, 6, 5_000_004):
        assert values(expression, t, 0.8, 0.2, 5)[0] == schedule(t)


@pytest.mark.parametrize(
    "function, text",
    [
        (lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, "(1 − x)² + 100 (y − x²)²"),
        (lambda x, y: x - (y - 1) - 2, "x − (y − 1) − 2"),
        (lambda x, y: x / (2 * y) * 3, "(x / (2 y)) · 3"),
        (lambda x, y: np.where(x > y, np.sqrt(x), -y), "√x if x > y else −y"),
        (lambda x, y: np.maximum(x, y) ** -1 * np.abs(x), "(1 / max(x, y)) |x|"),
        (lambda x, y: x * x * y**3 * 1e-8, "x² y^3 · 1e−08"),
        (lambda x, y: x * (y * x), "x (y x)"),
    ],
)
def test_formulas(function, text):
    assert of_expression(traced("f", function, ["x", "y"])) == text


@pytest.mark.parametrize(
    "name, text",
    [("betas[0]", "β₁"), ("beta2_t", "β₂ᵗ"), ("lr", "lr"), ("v_max", "v_max"), ("eps", "ε")],
)
def test_names(name, text):
    assert symbol(name) == text


def formula(rule):
    return of_program(step_program(rule([Tensor(np.ones(2), requires_grad=True)])))


def test_the_formula_of_a_rule():
    assert formula(optim.AMSGrad) == [
        "m ← β₁ m + (1 − β₁) g",
        "v ← β₂ v + (1 − β₂) g²",
        "v_max ← max(v_max, v)",
        "p ← p − lr m / (√v_max + ε)",
    ]
    assert formula(optim.Adam) == [
        "β₁ᵗ ← β₁ β₁ᵗ",
        "β₂ᵗ ← β₂ β₂ᵗ",
        "m ← β₁ m + (1 − β₁) g",
        "v ← β₂ v + (1 − β₂) g²",
        "p ← p − (lr √(1 − β₂ᵗ) / (1 − β₁ᵗ)) m / (√v + ε √(1 − β₂ᵗ))",
    ]


def test_a_formula_marks_what_was_there_before():
    assert formula(optim.NosAdam)[2] == "v ← (totalₜ₋₁ / total) v + (t^(−γ) / total) g²"
    assert formula(optim.Lion) == [
        "p ← (1 − lr weight_decay) p − lr sign(β₁ m + (1 − β₁) g)",
        "m ← β₂ m + (1 − β₂) g",
    ]


def test_every_rule_has_a_formula_that_ends_with_p():
    for rule in optim.RULES.values():
        if rule.per_tensor or rule.needs_closure or rule.update is not optim.Optimizer.update:
            continue
        assert any(line.startswith("p ←") for line in formula(rule)), rule
