"""Steps of rules, schedules and functions as functions of JavaScript, in float64, for a page.

    step(arrays, numbers, settings, powers)

changes arrays.p, arrays.m, ... (Float64Array or plain arrays, of one length) and numbers.beta1_t,
... in place; settings holds the values of the step by place: settings.lr, settings["betas[0]"],
settings.t. `powers` may give the results of pow, exp, log and tanh among numbers, in the order in
which they come, since their last bits differ between machines.
"""

from collections.abc import Collection, Iterable
from json import dumps

from optim.engine.expression import Expression
from optim.engine.functions import ROUNDED_ANYHOW
from optim.engine.printing import identifiers, literal, statements
from optim.engine.program import Entry, Program, Value

# Comparisons, so that zeros of either sign, infinities and NaN come out as NumPy's
FUNCTIONS = """
const inf = Infinity, nan = NaN;
const sqrt = Math.sqrt, absolute = Math.abs, power = Math.pow;
const exp = Math.exp, log = Math.log, tanh = Math.tanh, cos = Math.cos;
const negative = x => -x, square = x => x * x, reciprocal = x => 1 / x;
const sign = x => x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x;
const maximum = (x, y) => x > y || x != x ? x : y;
const minimum = (x, y) => x < y || x != x ? x : y;
const where = (c, x, y) => c ? x : y;
const logical_and = (x, y) => x && y, logical_or = (x, y) => x || y, logical_not = x => !x;
const floor_divide = (x, y) => Math.floor(x / y), remainder = (x, y) => x - y * Math.floor(x / y);
""".strip()


def step(program: Program) -> str:
    """The function, as an expression; FUNCTIONS must be in scope."""
    names = identifiers([*program.arrays.values(), *program.numbers.values(), *_results(program)])
    used = {x for e in (*program.hoisted, *program.loop) for x in (*e.inputs, e.out)}
    used |= set(program.changed.values())
    state = set(program.state)
    lines = ["(arrays, numbers, settings, powers = []) => {"]
    for name, value in program.numbers.items():
        if value in used:
            holder = "numbers" if name in state else "settings"
            lines.append(f"  const {names[value]} = {holder}[{dumps(name)}];")
    powers = 0
    for entry, (out, text) in zip(program.hoisted, statements(program.hoisted, names), strict=True):
        if entry.function in ROUNDED_ANYHOW:
            text = f"powers[{powers}] ?? {text}"
            powers += 1
        lines.append(f"  const {names[out]} = {text};")
    arrays = [(name, value) for name, value in program.arrays.items() if value in used]
    lines.append("  for (let i = 0; i < arrays.p.length; i++) {")
    lines += [f"    let {names[v]} = arrays[{dumps(name)}][i];" for name, v in arrays]
    declared = {value for _, value in arrays}
    for out, text in statements(program.loop, names):
        lines.append(f"    {'' if out in declared else 'let '}{names[out]} = {text};")
        declared.add(out)
    written = set(program.written)
    lines += [f"    arrays[{dumps(n)}][i] = {names[v]};" for n, v in arrays if n in written]
    lines.append("  }")
    lines += [f"  numbers[{dumps(n)}] = {names[v]};" for n, v in program.changed.items()]
    return "\n".join([*lines, "}"])


def function(expression: Expression, before: Collection[str] | None = None) -> str:
    """The function of its arguments by position, as an expression; FUNCTIONS must be in scope.

    Where some come `before`, it takes these by name, as of an object, and gives the function of the
    others: what depends on them alone is computed once. Several results are an array.
    """
    outs = (entry.out for entry in expression.entries)
    names = identifiers([*expression.arguments.values(), *outs])
    known = {v for n, v in expression.arguments.items() if n in (before or ())}
    outer: list[Entry] = []
    inner: list[Entry] = []
    for entry in expression.entries:
        read = (x for x in entry.inputs if isinstance(x, Value))
        early = before is not None and known.issuperset(read)
        (outer if early else inner).append(entry)
        known.update([entry.out] if early else [])

    def lines(entries: Iterable[Entry], indent: str) -> list[str]:
        return [f"{indent}const {names[out]} = {x};" for out, x in statements(entries, names)]

    given = [names[x] if isinstance(x, Value) else literal(x) for x in expression.results]
    listed = ", ".join(given)
    result = listed if len(given) == 1 else f"[{listed}]"
    taken = [n for n in expression.arguments if n not in (before or ())]
    others = ", ".join(names[expression.arguments[n]] for n in taken)
    if before is None:
        return "\n".join([f"({others}) => {{", *lines(inner, "  "), f"  return {result};", "}"])
    named = ", ".join(f"{dumps(n)}: {names[expression.arguments[n]]}" for n in before)
    head = [f"({{{named}}}) => {{", *lines(outer, "  "), f"  return ({others}) => {{"]
    return "\n".join([*head, *lines(inner, "    "), f"    return {result};", "  };", "}"])


def _results(program: Program) -> Iterable[Value]:
    return (entry.out for entry in (*program.hoisted, *program.loop))
