"""What was traced as formulas in plain Unicode: m ← β₁ m + (1 − β₁) g."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from optim.engine.expression import Expression
from optim.engine.program import Entry, Program, Value

GREEK = {
    **{"alpha": "α", "beta": "β", "betas": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "eta": "η"},
    **{"lambd": "λ", "mu": "μ", "nu": "ν", "rho": "ρ", "tau": "τ"},
}
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SIGNS = {
    **{"greater": ">", "less": "<", "greater_equal": "≥", "less_equal": "≤"},
    **{"equal": "=", "not_equal": "≠", "logical_and": "and", "logical_or": "or"},
}
CONDITION, SUM, PRODUCT, POWER, ATOM = range(5)  # how tightly the parts of a text hold together
SHORT = 3  # calls in a result that is written out wherever it is read


class _Leaf(NamedTuple):
    """A name, and how often it had been assigned to when it was read."""

    name: str
    version: int


class _Call(NamedTuple):
    function: str
    operands: tuple[Any, ...]

    @property
    def calls(self) -> int:
        return 1 + sum(x.calls for x in self.operands if isinstance(x, _Call))


def of_expression(expression: Expression) -> str:
    """The result of a function of numbers, or its results with commas."""
    known: dict[Any, Any] = {v: _Leaf(n, 0) for n, v in expression.arguments.items()}
    for entry in expression.entries:
        known[entry.out] = _call(entry, known)
    return ", ".join(_Text()(known.get(x, x)) for x in expression.results)


def of_program(program: Program) -> list[str]:
    """A line for whatever a step changes, in the order in which it does so.

    What a line reads is what the lines above have left; the subscript t-1 marks what they found.
    """
    return list(_lines(program))


def _lines(program: Program) -> Iterator[str]:
    arguments = {**program.arrays, **program.numbers}
    known: dict[Any, Any] = {v: _Leaf(n, 0) for n, v in arguments.items()}
    text = _Text()
    names = {v: n for n, v in program.arrays.items()}  # of what is assigned to
    names |= {v: n for n, v in program.changed.items()}
    entries = [*program.hoisted, *program.loop]
    left = Counter(entry.out for entry in entries)  # writes that are still to come
    reads = Counter(x for entry in entries for x in entry.inputs if isinstance(x, Value))
    parts = 0
    for entry in entries:
        out = entry.out
        made = known[out] = _call(entry, known)
        left[out] -= 1
        if out in names and not left[out]:
            known[out], line = text.assigned(names[out], made)
            yield line
        elif out not in names and reads[out] > 1 and made.calls > SHORT:
            parts += 1
            known[out], line = text.assigned(f"u{parts}", made, "=")
            yield line
    for name, value in program.changed.items():
        if names[value] != name or value not in left:
            yield text.assigned(name, known[value])[1]


def _call(entry: Entry, known: dict[Any, Any]) -> Any:
    operands = tuple(known.get(x, x) for x in entry.inputs)
    return operands[0] if entry.function == "copy" else _Call(entry.function, operands)


class _Text:
    """Writes trees of calls, and knows how often each name has been assigned to."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.target = ""  # the name that is being assigned to

    def assigned(self, name: str, tree: Any, sign: str = "←") -> tuple[_Leaf, str]:
        """What stands for the name from now on, and the line that assigns to it."""
        self.target = symbol(name)
        line = f"{self.target} {sign} {self(tree)}"
        self.versions[name] = version = self.versions.get(name, 0) + 1
        return _Leaf(name, version), line

    def __call__(self, tree: Any, least: int = CONDITION) -> str:
        """The text, in parentheses where it holds together less than asked."""
        text, strength = self._of(tree)
        return f"({text})" if strength < least else text

    def _of(self, tree: Any) -> tuple[str, int]:
        if isinstance(tree, _Leaf):
            before = tree.version < self.versions.get(tree.name, 0)
            return symbol(tree.name) + "ₜ₋₁" * before, ATOM
        if not isinstance(tree, _Call):
            return _number(tree)
        function, operands = tree
        match function:
            case "add":
                return f"{self(operands[0], SUM)} + {self(operands[1], SUM)}", SUM
            case "subtract":
                return f"{self(operands[0], SUM)} − {self(operands[1], PRODUCT)}", SUM
            case "multiply":
                factors = self._factors(tree)
                return " ".join(factors), PRODUCT if len(factors) > 1 else POWER
            case "divide":
                return f"{self(operands[0], PRODUCT)} / {self(operands[1], POWER)}", PRODUCT
            case "reciprocal":
                return f"1 / {self(operands[0], POWER)}", PRODUCT
            case "negative":
                return f"−{self(operands[0], PRODUCT)}", SUM
            case "square":
                return f"{self(operands[0], ATOM)}²", POWER
            case "power":
                return f"{self(operands[0], ATOM)}^{self(operands[1], ATOM)}", POWER
            case "sqrt":
                return f"√{self(operands[0], ATOM)}", POWER
            case "absolute":
                return f"|{self(operands[0])}|", ATOM
            case "where":
                condition, x, y = operands
                return f"{self(x, SUM)} if {self(condition)} else {self(y, SUM)}", CONDITION
            case "logical_not":
                return f"not {self(operands[0], SUM)}", CONDITION
        if function in SIGNS:
            return f" {SIGNS[function]} ".join(self(x, SUM) for x in operands), CONDITION
        short = {"maximum": "max", "minimum": "min", "remainder": "mod"}.get(function, function)
        return f"{short}({', '.join(map(self, operands))})", ATOM

    def _factors(self, tree: _Call) -> list[str]:
        """Factors side by side, what is assigned to at the end, and two that are the same as a
        square."""
        factors = [self(x, POWER) for x in _factors(tree)]
        factors.sort(key=self.target.__eq__)
        for i in range(len(factors) - 1, 0, -1):
            if factors[i] == factors[i - 1] and not factors[i].endswith("²"):
                factors[i - 1 : i + 1] = [f"{factors[i]}²"]
        return [f"· {x}" if i and x[0].isdigit() else x for i, x in enumerate(factors)]


def _factors(tree: Any) -> Iterable[Any]:
    """Those of a product of products, as far as its order allows."""
    while isinstance(tree, _Call) and tree.function == "multiply":
        yield from _factors(tree.operands[0])
        tree = tree.operands[1]
        if isinstance(tree, _Call) and tree.function == "multiply":
            break  # a (b c) is not (a b) c
    yield tree


def _number(x: float) -> tuple[str, int]:
    text = f"{x:g}" if float(f"{x:g}") == x else repr(x)
    text = text.replace("inf", "∞").replace("-", "−")
    return text, SUM if text[0] == "−" else ATOM


def symbol(name: str) -> str:
    """A name as it is written in mathematics: betas[0] is β₁, beta1_t its power β₁ᵗ."""
    parts = re.fullmatch(r"([a-zA-Z]+?)(?:(\d+)|\[(\d+)\])?(_\w+)?", name)
    stem, digits, place, rest = parts.groups() if parts else (name, "", None, "")
    number = digits or (str(int(place) + 1) if place else "")
    power = "ᵗ" if rest == "_t" else rest or ""
    return f"{GREEK.get(stem, stem)}{number.translate(SUBSCRIPTS)}{power}"
