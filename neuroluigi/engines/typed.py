"""A call as it is typed into Matlab or Octave, for logs: pasted there, it has the same arguments."""

import math
import re
import struct
from collections.abc import Sequence

from neuroluigi.engines.values import LARGEST_WHOLE_DOUBLE, NUMBERS, Node

# Larger arrays are not shown.
_MOST_ELEMENTS = 2000

_BILLION = 10**9


def typed_call(function: str, arguments: Node, returns: Sequence[str] = ()) -> str:
    """Return the text of a call, a line; in place of an array of more than 2000 elements it has its shape and class."""
    values = f"[{', '.join(returns)}] = " if returns else ""
    return f"{values}{function}({', '.join(map(_typed, arguments.data))})"


def _typed(node: Node) -> str:
    if node.size > _MOST_ELEMENTS:
        return f"<{'x'.join(map(str, node.shape))} {node.kind}, too large to be shown>"
    if isinstance(node.data, str):
        return _typed_text(node.data)
    if node.kind == "cell":
        return _typed_cell(node.shape, node.data)
    if node.kind == "struct":
        return _typed_struct(node)
    letter = NUMBERS[node.stored][0]
    numbers = struct.unpack(f"<{len(node.data) // struct.calcsize(letter)}{letter}", node.data)
    if node.is_complex:
        return f"complex({_typed_numbers(node, numbers[::2])}, {_typed_numbers(node, numbers[1::2])})"
    return _typed_numbers(node, numbers)


def _typed_text(text: str) -> str:
    # Control characters would end the line, or be lost in a terminal.
    parts = [one for one in re.split("([\x01-\x1f\x7f])", text) if one]
    typed = [f"char({ord(one)})" if ord(one[0]) < 32 or one == "\x7f" else _quoted(one) for one in parts]
    return f"[{' '.join(typed)}]" if typed[1:] else "".join(typed) or "''"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _typed_cell(shape: Sequence[int], nodes: Sequence[Node]) -> str:
    return _arranged(shape, [_typed(one) for one in nodes], "{}", ", ") or f"cell({_listed(shape)})"


def _typed_struct(node: Node) -> str:
    """Return struct('a', value, ...); of a struct array, and of a value that is a cell, the values are in cells."""
    width = len(node.fields)
    is_one = node.shape == (1, 1)
    if not width:
        return "struct()" if is_one else f"repmat(struct(), {_listed(node.shape)})"
    columns = [node.data[k::width] for k in range(width)]
    values = (_typed(one[0]) if is_one and one[0].kind != "cell" else _typed_cell(node.shape, one) for one in columns)
    typed = (f"{_quoted(field)}, {value}" for field, value in zip(node.fields, values, strict=True))
    return f"struct({', '.join(typed)})"


def _typed_numbers(node: Node, numbers: Sequence) -> str:
    def array(values: Sequence[str]) -> str:
        empty = "[]" if node.shape == (0, 0) else f"zeros({_listed(node.shape)})"
        return _arranged(node.shape, values, "[]", " ") or empty

    if node.kind == "logical":
        return array([str(bool(one)).lower() for one in numbers]) if numbers else f"logical({array([])})"
    if node.kind == "double":
        return array(list(map(_typed_double, numbers)))
    if node.kind == "single":
        return f"single({array(list(map(_typed_single, numbers)))})"
    if any(abs(one) > LARGEST_WHOLE_DOUBLE for one in numbers):
        # A literal is read as a double, which has not all digits.
        parts = [divmod(abs(one), _BILLION) for one in numbers]
        signs = [-1 if one < 0 else 1 for one in numbers]
        high, low = (array([str(s * p[k]) for s, p in zip(signs, parts, strict=True)]) for k in (0, 1))
        return f"{node.kind}({high})*{node.kind}({_BILLION})+{node.kind}({low})"
    return f"{node.kind}({array(list(map(str, numbers)))})"


def _arranged(shape: Sequence[int], values: Sequence[str], brackets: str, separator: str) -> str:
    """Return values, columns first, as a literal of that shape; "" for none."""
    opening, closing = brackets[0], brackets[1]
    if not values:
        return ""
    if len(shape) > 2:
        return f"reshape({opening}{separator.join(values)}{closing}, {_listed(shape)})"
    if len(values) == 1 and brackets == "[]":
        return values[0]
    return opening + "; ".join(separator.join(values[row :: shape[0]]) for row in range(shape[0])) + closing


def _listed(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))


def _typed_double(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def _typed_single(value: float) -> str:
    """Return the shortest text that is read as a double and rounded to this single."""
    if not math.isfinite(value):
        return _typed_double(value)
    # 17 digits are exact.
    texts = (f"{value:.{digits}g}" for digits in range(6, 18))
    return next(one for one in texts if struct.pack("f", float(one)) == struct.pack("f", value))
