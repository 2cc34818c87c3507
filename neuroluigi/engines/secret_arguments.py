"""The arguments of a call as a log may show them: with *** in place of what is secret."""

import dataclasses
from collections.abc import Collection, Sequence

from neuroluigi.engines.values import Node, encode
from neuroluigi.provenance.secret_values import MASK, is_secret_name, masked, without_values


def without_secrets(arguments: Node, values: Collection[object]) -> Node:
    """Return encoded arguments without these values, without passwords in URLs, and without what is named secret.

    A name is a field of a struct, or the text before a value, as in connect('user', 'a', 'password', 'b').
    """
    return _Hidden(values).in_node(arguments)


class _Hidden:
    def __init__(self, values: Collection[object]):
        self._texts = [one for one in values if isinstance(one, str)]
        self._others = [encode(one, "") for one in values if isinstance(one, (int, float)) and one not in (0, 1)]
        self._mask = encode(MASK, "")

    def in_node(self, node: Node) -> Node:
        if isinstance(node.data, str):
            text = without_values(masked(node.data), self._texts)
            return node if text == node.data else encode(text, "")
        if node in self._others:
            return self._mask
        if node.kind not in ("cell", "struct"):
            return node
        names = [*node.fields] * (len(node.data) // len(node.fields)) if node.fields else _names_before(node.data)
        data = [
            self._mask if is_secret_name(name) else self.in_node(one)
            for name, one in zip(names, node.data, strict=True)
        ]
        return dataclasses.replace(node, data=data)


def _names_before(nodes: Sequence[Node]) -> list[str]:
    """Return what each value may be called by the text before it; "" behind one that is the value of a secret name."""
    names, name = [], ""
    for one in nodes:
        names.append(name)
        is_name = isinstance(one.data, str) and one.data.replace("-", "_").isidentifier() and not is_secret_name(name)
        name = one.data if is_name else ""
    return names
