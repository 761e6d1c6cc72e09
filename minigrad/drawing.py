"""The graph that a tensor was computed by, as text for graphviz and as a picture."""

from collections import defaultdict
from dataclasses import dataclass
from html import escape
from typing import Any

from minigrad.tensor import Tensor

LETTER, HEIGHT, GAP, LAYER = 7, 34, 20, 74  # of labels and nodes, and from one to the next, pixels


@dataclass(frozen=True)
class Graph:
    """Nodes with their labels, and edges from an operand to what was computed from it.

    `dot` is its text for graphviz; a notebook shows `svg`, for which nothing is needed.
    """

    labels: list[str]
    kinds: list[str]  # of each node: "op", "parameter" or "constant"
    edges: list[tuple[int, int]]

    @property
    def _width(self) -> int:
        return LETTER * max(map(len, self.labels)) + GAP

    @property
    def dot(self) -> str:
        """The graph in DOT, which `dot -Tsvg` draws."""
        shapes = {"op": "box", "parameter": "ellipse", "constant": "plaintext"}
        nodes = [
            f'  n{i} [shape={shapes[kind]}, label="{label}"];'
            for i, (label, kind) in enumerate(zip(self.labels, self.kinds, strict=True))
        ]
        return "\n".join(["digraph {", *nodes, *(f"  n{a} -> n{b};" for a, b in self.edges), "}"])

    @property
    def svg(self) -> str:
        """The graph as a picture, from the leaves at the top to the tensor at the bottom."""
        at, node = self._places(), self._width
        width = max(x for x, _ in at) + node / 2 + GAP
        height = max(y for _, y in at) + HEIGHT + GAP
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            'font-family="monospace" font-size="11" text-anchor="middle" fill="none" '
            'stroke="currentColor"><defs><marker id="end" viewBox="0 0 6 6" refX="6" refY="3" '
            'markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L6 3L0 6z" '
            'fill="currentColor"/></marker></defs>'
        ]
        for a, b in self.edges:
            (x0, y0), (x1, y1) = at[a], at[b]
            lines.append(
                f'<path marker-end="url(#end)" d="M{x0:g} {y0 + HEIGHT:g}C{x0:g} '
                f'{y0 + LAYER - GAP:g} {x1:g} {y1 - GAP:g} {x1:g} {y1:g}"/>'
            )
        for (x, y), label, kind in zip(at, self.labels, self.kinds, strict=True):
            if kind != "constant":
                radius = HEIGHT // 2 if kind == "parameter" else 3
                lines.append(
                    f'<rect x="{x - node / 2:g}" y="{y:g}" width="{node}" height="{HEIGHT}" '
                    f'rx="{radius}"/>'
                )
            lines.append(
                f'<text x="{x:g}" y="{y + HEIGHT / 2 + 4:g}" fill="currentColor" stroke="none">'
                f"{escape(label)}</text>"
            )
        return "\n".join([*lines, "</svg>"])

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.dot

    def _places(self) -> list[tuple[float, float]]:
        """Where each node stands: as low as what is computed from it allows, and near that."""
        results = defaultdict(list)
        for a, b in self.edges:
            results[a].append(b)
        depths = [0] * len(self.labels)
        for i in reversed(range(len(depths))):  # nodes stand after their operands
            depths[i] = 1 + max((depths[b] for b in results[i]), default=-1)
        layers = defaultdict(list)
        for i, depth in enumerate(depths):
            layers[depth].append(i)
        x: dict[int, float] = {}
        widest = max(map(len, layers.values()))
        for depth in sorted(layers):
            layer = layers[depth]
            layer.sort(key=lambda i: sum(x[b] for b in results[i]) / max(1, len(results[i])))
            for place, i in enumerate(layer):
                centre = (widest - len(layer)) / 2
                x[i] = GAP + self._width / 2 + (centre + place) * (self._width + GAP)
        return [(x[i], GAP + (max(depths) - depths[i]) * LAYER) for i in range(len(depths))]


def graph(tensor: Tensor, parameters: Any = None) -> Graph:
    """The graph of ops by which a tensor was computed, before `backward` has taken it apart.

    `parameters` are those of a model, by which leaves are named. Raises RuntimeError after
    `backward`.
    """
    names = {t: name for name, t in parameters.items()} if parameters is not None else {}
    found, unvisited = {tensor}, [tensor]
    while unvisited:
        one = unvisited.pop()
        if not one.is_leaf and not one._inputs:
            raise RuntimeError("graph() of what went backward already; draw it before.")
        for operand in _operands(one):
            if operand not in found:
                found.add(operand)
                unvisited.append(operand)
    nodes = sorted(found, key=lambda one: getattr(one, "_born", -1))  # a borrowed array is a leaf
    number = {one: i for i, one in enumerate(nodes)}
    return Graph(
        [
            f"{getattr(one, '_made_by', '') or names.get(one, '')} {one.shape}".strip()
            for one in nodes
        ],
        [_kind(one) for one in nodes],
        [(number[operand], i) for i, one in enumerate(nodes) for operand in _operands(one)],
    )


def _operands(one: Any) -> list[Any]:
    return [operand for operand, _, _ in getattr(one, "_inputs", ())]


def _kind(one: Any) -> str:
    if not one.is_leaf:
        return "op"
    return "parameter" if getattr(one, "requires_grad", False) else "constant"


def _name(one: Any, names: dict[Any, str]) -> str:
    return getattr(one, "_made_by", "") or names.get(one, "")
