"""What helps to find a mistake: anomaly, and the graph as text and as a picture."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, anomaly, graph, ops
from models import MLP

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def leaf(*values: float) -> Tensor:
    return Tensor(values, requires_grad=True)


def line_of(where: str) -> int:
    """The number of the only line of this file with that at its end."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (number,) = (i for i, line in enumerate(lines, 1) if line.endswith("# " + where))
    return number


def logarithms(x: Tensor) -> Tensor:
    y = x * 1
    z = ops.log(y)  # the log
    return z + 1


def test_the_first_op_whose_value_is_not_finite_raises_and_names_the_line() -> None:
    x = leaf(1, 0, 0)
    with anomaly(), pytest.raises(FloatingPointError) as caught:
        logarithms(x)
    said = str(caught.value)
    assert said.startswith("log of (3,) gives 2 x inf; it was called in ")
    assert f"test_looking.py:{line_of('the log')}, logarithms" in said
    assert np.isinf(logarithms(x).data).any()  # outside nobody looks


def test_the_first_op_whose_gradient_is_not_finite_raises_and_names_the_line() -> None:
    x = leaf(0, 1)
    with anomaly():
        y = x**0.5  # the root
        loss = (y * 2).sum()
    with pytest.raises(
        FloatingPointError, match=r"the gradient of pow of .* operand 0 is 1 x inf"
    ) as e:
        loss.backward()  # outside, of what was computed inside
    assert f"test_looking.py:{line_of('the root')}, " in str(e.value)
    (leaf(0, 1) ** 0.5).sum().backward()


def test_what_comes_in_is_not_the_fault_of_the_op() -> None:
    with anomaly(), pytest.raises(FloatingPointError, match="1 x NaN, from what was not finite"):
        leaf(1.0, float("nan")) * 2
    with anomaly():
        y = leaf(1.0, 2.0) * 2
    with pytest.raises(FloatingPointError, match=r"gradient of mul.* from what was not finite"):
        y.backward(np.array([1, np.inf], "float32"))


def test_the_gradients_inside_are_those_outside() -> None:
    x, y = np.ones((5, 4), "float32"), np.array([0, 1, 0, 1, 1])
    gradients = []
    for mode in (anomaly(), None):
        model = MLP([4, 3, 2], rng=0)
        parameters = model.parameters()
        loss = anomaly()(model.loss)(x, y) if mode else model.loss(x, y)
        loss.backward()
        gradients.append(parameters.grad.copy())
    np.testing.assert_array_equal(*gradients)


def nodes_and_edges(dot: str) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """Labels by node, and edges by label, as graphviz would read them."""
    labels: dict[str, str] = {}
    edges = []
    for line in dot.splitlines()[1:-1]:
        if "->" in line:
            a, b = line.strip(" ;").split(" -> ")
            edges.append((a, b))
        else:
            labels[line.split()[0]] = line.split('label="')[1].split('"')[0]
    return labels, {(labels[a], labels[b]) for a, b in edges}


def diamond() -> Any:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    return (y * y + ops.exp(y)).sum()


def test_the_text_has_every_op_once_and_every_edge() -> None:
    labels, edges = nodes_and_edges(graph(diamond()).dot)
    assert sorted(labels.values()) == sorted(
        ["(2,)", "mul (2,)", "mul (2,)", "exp (2,)", "add (2,)", "sum ()"]
    )
    assert ("exp (2,)", "add (2,)") in edges and ("add (2,)", "sum ()") in edges
    assert ("(2,)", "mul (2,)") in edges and ("mul (2,)", "mul (2,)") in edges


def test_parameters_are_named_and_batches_are_leaves() -> None:
    model = MLP([4, 3, 2], rng=0)
    loss = model.loss(np.ones((5, 4), "float32"), np.zeros(5, int))
    _, edges = nodes_and_edges(str(graph(loss, model.parameters())))
    assert ("hidden.0.weight (4, 3)", "linear (5, 3)") in edges
    assert ("(5, 4)", "linear (5, 3)") in edges


def test_the_picture_stands_alone_with_every_label_and_no_two_nodes_on_top_of_each_other() -> None:
    drawn = graph(diamond())
    root = ElementTree.fromstring(drawn._repr_svg_())
    space = "{http://www.w3.org/2000/svg}"
    assert sorted(t.text or "" for t in root.iter(space + "text")) == sorted(drawn.labels)
    places = [(r.get("x"), r.get("y")) for r in root.iter(space + "rect")]
    assert len(set(places)) == len(places) == len(drawn.labels)
    height = {i: y for i, (_, y) in enumerate(drawn._places())}
    assert all(height[a] < height[b] for a, b in drawn.edges)  # downwards


def test_a_graph_that_went_backward_is_refused() -> None:
    loss = diamond()
    loss.backward()
    with pytest.raises(RuntimeError, match="before"):
        graph(loss)
