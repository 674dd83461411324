# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph, computed once on a picture: what depends on the pixels, and what is constant for this image size.

Shape arithmetic, interpolated position tables and the like depend on no pixel, so they are constants here, whatever
operators made them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge.model.onnx_file import Graph, Node
from vitforge.model.onnx_ops import MOVES, OPERATORS

_PASS = ("Identity", "Dropout")  # give their input, at inference


class Trace:
    """Live values depend on the image; every other value that could be computed is in ``constants``."""

    def __init__(self, graph: Graph, image_input: str, image: NDArray[np.float32], keep: Iterable[str] = ()) -> None:
        self.graph, self.image_input, self.image = graph, image_input, image
        self.constants: dict[str, NDArray] = dict(graph.constants)
        self.shapes: dict[str, tuple[int, ...]] = {image_input: image.shape}
        self.maker: dict[str, Node] = {}  # of live values
        self.users: dict[str, list[Node]] = {}  # of live values
        self.blocked: dict[str, str] = {}  # value -> why it could not be computed
        self.kept: dict[str, NDArray] = {}
        self._alias: dict[str, str] = {}
        self._run(set(keep))

    def resolve(self, name: str) -> str:
        """The value that ``name`` is a copy of."""
        return self._alias.get(name, name)

    def live(self, node: Node) -> list[str]:
        """Its inputs that depend on the image."""
        return [name for name in node.inputs if name in self.shapes]

    def constant(self, node: Node) -> NDArray | None:
        """The one constant operand of a node of two inputs, one of them live."""
        values = [self.constants[name] for name in node.inputs if name in self.constants]
        return values[0] if len(node.inputs) == 2 and len(values) == 1 else None

    def _run(self, keep: set[str]) -> None:
        values: dict[str, NDArray] = {self.image_input: self.image}
        last = {name: i for i, node in enumerate(self.graph.nodes) for name in node.inputs}
        expiring: dict[int, list[str]] = {}
        for name, i in last.items():
            expiring.setdefault(i, []).append(name)
        for i, node in enumerate(self.graph.nodes):
            self._step(self._renamed(node), values)
            for name in expiring.get(i, ()):
                if name not in self._alias.values() and name not in keep:
                    values.pop(name, None)
        self.kept = {name: values[self.resolve(name)] for name in keep if self.resolve(name) in values}

    def _renamed(self, node: Node) -> Node:
        inputs = tuple(self.resolve(name) for name in node.inputs)
        return node if inputs == node.inputs else Node(**{**vars(node), "inputs": inputs})

    def _step(self, node: Node, values: dict[str, NDArray]) -> None:
        live = self.live(node)
        if self._is_copy(node, live):
            self._alias[node.outputs[0]] = node.inputs[0]
            return
        reason = self._obstacle(node)
        results: list[NDArray] = []
        if not reason:
            inputs = [values[n] if n in values else self.constants.get(n) for n in node.inputs]
            try:
                results = compute(node, inputs)
            except ModelError as error:
                reason = str(error)
        if reason:
            self.blocked |= dict.fromkeys(node.outputs, reason)
            return
        constant = not live or node.op == "Shape"
        for name, result in zip(node.outputs, results, strict=False):
            if constant:
                self.constants[name] = result
            else:
                values[name], self.shapes[name], self.maker[name] = result, result.shape, node
        for name in () if constant else dict.fromkeys(live):
            self.users.setdefault(name, []).append(node)

    def _is_copy(self, node: Node, live: list[str]) -> bool:
        known = bool(live) or (bool(node.inputs) and node.inputs[0] in self.constants)
        return known and (node.op in _PASS or (node.op == "Cast" and bool(live)))

    def _obstacle(self, node: Node) -> str:
        """Why ``node`` cannot be computed, or nothing."""
        for name in node.inputs:
            if name in self.blocked:
                return self.blocked[name]
            if name and name not in self.constants and name not in self.shapes:
                return f"{node.title} takes {name!r}, which is not known"
        return "" if node.op in OPERATORS else f"{node.title} is not one that vitforge maps"

    def obstacle(self, name: str) -> str:
        """For a message: why something made of ``name`` could not be computed, or nothing."""
        for node in self.graph.nodes:
            if name in map(self.resolve, node.inputs) and node.outputs and node.outputs[0] in self.blocked:
                return f"; {self.blocked[node.outputs[0]]}"
        return ""

    def path(self, target: str, source: str) -> list[Node]:
        """Nodes between two live values, in order of computation."""
        wanted, nodes = [target], dict[str, Node]()
        while wanted:
            name = wanted.pop()
            node = self.maker.get(name)
            if name == source or node is None or node.outputs[0] in nodes:
                continue
            nodes[node.outputs[0]] = node
            wanted += self.live(node)
        places = {node.outputs[0]: i for i, node in enumerate(self.graph.nodes) if node.outputs}
        return [nodes[name] for name in sorted(nodes, key=places.__getitem__)]

    def replay(self, target: str, source: str, value: NDArray) -> NDArray:
        """``target`` where ``source`` is ``value``."""
        values = {source: value}
        for node in self.path(target, source):
            inputs = [values[n] if n in values else self.constants.get(n) for n in node.inputs]
            values |= dict(zip(node.outputs, compute(node, inputs), strict=False))
        return values[target]

    def back(self, name: str, through: Callable[[Node], bool]) -> str:
        """From ``name`` towards the image, through nodes of one live input."""
        while (node := self.maker.get(name)) is not None and through(node) and len(set(self.live(node))) == 1:
            name = self.live(node)[0]
        return name

    def forward(self, name: str, through: Callable[[Node], bool]) -> list[str]:
        """``name`` and all that is made of it through such nodes alone, in order of computation."""
        found = {name: None}
        for node in self.graph.nodes:
            output = next(iter(node.outputs), "")
            node = self.maker.get(output, node)
            if output in self.shapes and through(node) and set(self.live(node)) <= found.keys():
                found |= dict.fromkeys(out for out in node.outputs if out in self.shapes)
        return list(found)


def compute(node: Node, inputs: list[NDArray | None]) -> list[NDArray]:
    """Outputs of one node. Raises ModelError where it cannot be computed."""
    try:
        with np.errstate(all="ignore"):
            return OPERATORS[node.op](node, list(inputs))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, MemoryError) as error:
        raise ModelError(f"{node.title} cannot be computed ({error})") from None


def moves(node: Node) -> bool:
    """Whether a node only selects and orders numbers."""
    return node.op in MOVES
