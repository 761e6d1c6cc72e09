"""The functions that a kernel may use, and how they read in a printed language.

Python, C++ and JavaScript share the text of an expression; what is written as a call is defined in
each of them by its executor.
"""

from typing import Any

import numpy as np

OPERATORS = {  # by the name of NumPy's ufunc
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "greater": ">",
    "less": "<",
    "greater_equal": ">=",
    "less_equal": "<=",
    "equal": "==",
    "not_equal": "!=",
}
CALLS = {
    *("negative", "absolute", "sign", "square", "sqrt", "reciprocal"),
    *("maximum", "minimum", "where", "copy"),
    *("logical_and", "logical_or", "logical_not"),
    *("power", "exp", "log", "tanh"),
}
OF_NUMBERS = {"cos", "floor_divide", "remainder"}  # which no kernel takes, but schedules do
COMPARISONS = {"greater", "less", "greater_equal", "less_equal", "equal", "not_equal"}
LOGICAL = {"logical_and", "logical_or", "logical_not"}
BITWISE = {"bitwise_and": "logical_and", "bitwise_or": "logical_or", "invert": "logical_not"}
SAME = {**BITWISE, "positive": "copy"}  # other names of these
POWERS = {2: "square", 0.5: "sqrt", -1: "reciprocal", 1: "copy"}  # as NumPy's ** has them
ROUNDED_ANYHOW = {"power", "exp", "log", "tanh", "cos"}  # not the same bits in every library
UNKNOWN = {  # NumPy's that see one coordinate at a time, and yet are none of these
    *("astype", "clip", "copyto", "dtype", "empty_like", "fill", "fix", "full_like", "isclose"),
    *("nan_to_num", "ones_like", "piecewise", "put", "putmask", "real", "round", "select"),
    *("zeros_like", "__round__"),
}


def text(function: str, operands: list[str]) -> str:
    """The expression for a function of these."""
    if function in OPERATORS:
        return f"{operands[0]} {OPERATORS[function]} {operands[1]}"
    return operands[0] if function == "copy" else f"{function}({', '.join(operands)})"


def numpy_function(function: str, namespace: Any = np) -> Any:
    """NumPy's function of that name, or another namespace's."""
    return getattr(namespace, function)


def known() -> str:
    """All of them, for an error."""
    return ", ".join(sorted({*OPERATORS, *CALLS} - {"copy"}))
