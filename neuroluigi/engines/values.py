"""Values that pass between Python and an engine: the arguments of a call, and what the function returns.

A value is encoded as a node: its class, its shape, and its elements. A node travels as {"class": ..., "shape": "2x3",
...}. Text to an engine is in "text"; the elements of a cell or a struct array are nodes in "value". The elements of any
other array are the bytes of numbers of the class "stored", little-endian, columns first, in pairs of real and imaginary
part where there is "complex": as hexadecimal digits in "bytes", or in a file beside, from "offset" on. No JSON reader
of an engine keeps numbers as they are.
"""

import math
import os
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

# Doubles are whole up to here; a larger integer travels as int64.
LARGEST_WHOLE_DOUBLE = 2**53

# Larger arrays travel in a file.
_MOST_INLINE_BYTES = 4096

# The classes of numbers: what their elements are called by `struct`, and by NumPy.
NUMBERS = {
    "double": ("d", "f8"),
    "single": ("f", "f4"),
    "logical": ("?", "b1"),
    "int8": ("b", "i1"),
    "int16": ("h", "i2"),
    "int32": ("i", "i4"),
    "int64": ("q", "i8"),
    "uint8": ("B", "u1"),
    "uint16": ("H", "u2"),
    "uint32": ("I", "u4"),
    "uint64": ("Q", "u8"),
}
_CLASS_OF_DTYPE = {**{dtype: name for name, (_, dtype) in NUMBERS.items()}, "c16": "double", "c8": "single"}


class MatlabArray(list):
    """The elements, columns first, of an array that neither NumPy nor Python has a type for.

    `kind` "cell": its elements are values, in any shape but the column that a list stands for; "struct": dicts with the
    keys `fields`; "char", text that is no row or not Unicode: the codes of its characters. `shape` as size() has it.
    """

    def __init__(self, elements: Iterable, kind: str, shape: Sequence[int], fields: Sequence[str] = ()):
        super().__init__(elements)
        self.kind, self.shape, self.fields = kind, tuple(shape), tuple(fields)

    def __repr__(self) -> str:
        return f"MatlabArray({super().__repr__()}, {self.kind!r}, {self.shape})"


class EncodeError(TypeError):
    """A value that Matlab and Octave have no class for; the message says which, and of what type it is."""


@dataclass(frozen=True)
class Node:
    """A Matlab array: `kind` is its class, `shape` as size() has it.

    `data`: text, for a row of characters; nodes, columns first, for a cell, and for a struct array those of all
    `fields` of an element together; else bytes as the module describes them, of characters as uint16.
    """

    kind: str
    shape: tuple[int, ...]
    data: Any
    fields: tuple[str, ...] = ()
    is_complex: bool = False

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def stored(self) -> str:
        """The class of the numbers in `data`."""
        return {"logical": "uint8", "char": "uint16"}.get(self.kind, self.kind)


def encode(value: object, name: str = "the value") -> Node:
    """Encode a value for an engine; `name` is what messages call it.

    str -> char row, bool -> logical, int, float and complex -> double (int64 above 2^53), None -> [], a list of numbers
    -> a column, any other list -> a cell column, a dict -> a struct. What comes from NumPy keeps its class and its
    shape; an array of one dimension becomes a column, one of text a cell. Raises EncodeError for anything else.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        # NUL would end the text; a lone surrogate is what Python makes of a byte of a file name that is not UTF-8.
        if re.search("[\0\ud800-\udfff]", value):
            raise EncodeError(f"{name}: {value!r} has a character that can't be given to Matlab or Octave")
        return Node("char", (1, len(value)) if value else (0, 0), str(value))
    if value is None:
        return Node("double", (0, 0), b"")
    if hasattr(value, "__array__"):
        return _encode_array(value, name)
    if isinstance(value, (bool, int, float, complex)):
        return _encode_numbers([value], name)
    if isinstance(value, MatlabArray):
        return _encode_elements(value, name)
    if isinstance(value, Mapping):
        return _encode_structs([value], (1, 1), list(value), name)
    if isinstance(value, (list, tuple)):
        if _are_numbers(value):
            return _encode_numbers(value, name)
        if _is_numpy_list(value):
            import numpy as np

            return _encode_array(np.array(value), name)
        return _encode_cell(value, (len(value), 1), name)
    raise EncodeError(f"{name}: a Matlab function can't be given a {type(value).__name__}: {value!r}")


def encode_arguments(arguments: Sequence[object]) -> Node:
    """Encode the arguments of a call as a cell. Raises EncodeError with the position of one that can't be encoded."""
    # Not encode(arguments), which would make one column of numbers alone.
    return Node("cell", (len(arguments), 1), [encode(one, f"argument {k}") for k, one in enumerate(arguments, 1)])


def _are_numbers(values: Sequence) -> bool:
    return bool(values) and all(isinstance(v, (bool, int, float, complex)) for v in values)


def _is_numpy_list(values: Sequence) -> bool:
    """Whether these are NumPy scalars of one type."""
    dtypes = {v.dtype if getattr(v, "shape", None) == () else None for v in values}
    return len(dtypes) == 1 and None not in dtypes


def _encode_cell(values: Iterable, shape: tuple[int, ...], name: str) -> Node:
    return Node("cell", shape, [encode(v, f"{name}{{{k}}}") for k, v in enumerate(values, 1)])


def _encode_structs(structs: Iterable[Mapping], shape: tuple[int, ...], fields: Sequence[str], name: str) -> Node:
    for field in fields:
        if not (isinstance(field, str) and re.fullmatch("[A-Za-z][A-Za-z0-9_]*", field)):
            raise EncodeError(f"{name}: {field!r} can't name a field of a Matlab struct")
    return Node("struct", shape, [encode(one[f], f"{name}.{f}") for one in structs for f in fields], tuple(fields))


def _encode_elements(value: MatlabArray, name: str) -> Node:
    if value.kind == "cell":
        return _encode_cell(value, value.shape, name)
    if value.kind == "struct":
        return _encode_structs(value, value.shape, value.fields, name)
    return Node("char", value.shape, struct.pack(f"<{len(value)}H", *value))


def _encode_numbers(values: Sequence[Any], name: str) -> Node:
    shape = (len(values), 1)
    if all(isinstance(v, bool) for v in values):
        return Node("logical", shape, bytes(values))
    if any(isinstance(v, complex) for v in values):
        parts = [part for v in map(complex, values) for part in (v.real, v.imag)]
        return Node("double", shape, struct.pack(f"<{len(parts)}d", *parts), is_complex=True)
    if any(isinstance(v, int) and abs(v) > LARGEST_WHOLE_DOUBLE for v in values):
        if not all(isinstance(v, int) for v in values):
            raise EncodeError(f"{name}: a column of doubles can't hold {max(values, key=abs)} with all its digits")
        if any(not -(2**63) <= v < 2**63 for v in values):
            raise EncodeError(f"{name}: {max(values, key=abs)} does not fit into an int64")
        return Node("int64", shape, struct.pack(f"<{len(values)}q", *values))
    return Node("double", shape, struct.pack(f"<{len(values)}d", *values))


def _encode_array(value: Any, name: str) -> Node:
    import numpy as np

    array = np.asarray(value)
    shape = array.shape if array.ndim > 1 else (array.size, 1)
    if array.dtype.kind == "U":
        return _encode_cell(array.ravel(order="F").tolist(), shape, name)
    kind = class_of_dtype(array.dtype)
    if kind is None or isinstance(value, np.ma.MaskedArray):
        what = "a masked array" if kind else f"a NumPy array of {array.dtype}"
        raise EncodeError(
            f"{name}: a Matlab function can't be given {what}; make it one of float64, float32, bool, complex or"
            " integers of up to 64 bits"
        )
    native = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return Node(kind, shape, native.ravel(order="F").view("u1"), is_complex=array.dtype.kind == "c")


def class_of_dtype(dtype: Any) -> str | None:
    """Return the class of an array of NumPy's `dtype`, None where there is none."""
    return _CLASS_OF_DTYPE.get(dtype.str[1:])


def decode(node: Node) -> Any:
    """Return the value of a node, which encodes to the same node: float, bool, str, list, dict, or with a class of
    its own an array or a scalar of NumPy, or a MatlabArray.
    """
    if isinstance(node.data, str):
        return node.data
    if node.kind == "cell":
        return as_cell([decode(one) for one in node.data], node.shape)
    if node.kind == "struct":
        values, width = [decode(one) for one in node.data], len(node.fields)
        count = len(values) // width if width else node.size
        structs = [dict(zip(node.fields, values[k * width :], strict=False)) for k in range(count)]
        return structs[0] if node.shape == (1, 1) else MatlabArray(structs, "struct", node.shape, node.fields)
    if node.kind == "char":
        return MatlabArray(struct.unpack(f"<{len(node.data) // 2}H", node.data), "char", node.shape)
    return as_scalar(array_of(node))


def array_of(node: Node) -> Any:
    """Return the array of NumPy, (1, 1) for a scalar, that a node of numbers holds; it shares the node's memory."""
    import numpy as np

    dtype = NUMBERS[node.kind][1]
    if node.is_complex:
        dtype = f"c{2 * int(dtype[1])}"
    return np.frombuffer(node.data, f"<{dtype}").reshape(node.shape, order="F")


def as_scalar(array: Any) -> Any:
    """Return the scalar of an array (1, 1), Python's own of a double or a logical; any other array as it is."""
    if array.shape != (1, 1):
        return array
    return array.item() if array.dtype.str[1:] in ("f8", "b1") else array[0, 0]


def as_cell(elements: list, shape: tuple[int, ...]) -> list:
    """Return the elements of a cell as a list where that encodes to such a cell, else as a MatlabArray."""
    is_list = shape == (len(elements), 1) and not _are_numbers(elements) and not _is_numpy_list(elements)
    return elements if is_list else MatlabArray(elements, "cell", shape)


def pack(node: Node, blocks: list) -> dict[str, object]:
    """Return the JSON object of a node; blocks of bytes for the file beside it are added to `blocks`."""
    if isinstance(node.data, str):
        return {"class": node.kind, "text": node.data}
    packed: dict[str, object] = {"class": node.kind, "shape": "x".join(map(str, node.shape))}
    if node.kind in ("cell", "struct"):
        fields = {"fields": node.fields} if node.kind == "struct" else {}
        return {**packed, **fields, "value": [pack(one, blocks) for one in node.data]}
    packed["stored"] = node.stored
    if node.is_complex:
        packed["complex"] = "yes"
    if len(node.data) <= _MOST_INLINE_BYTES:
        return {**packed, "bytes": bytes(node.data).hex()}
    packed["offset"] = str(sum(map(len, blocks)))
    blocks.append(node.data)
    return packed


def unpack(packed: Any, file: BinaryIO) -> Node:
    """Return the node of a JSON object from an engine, with its bytes from the file beside it."""
    kind, shape = packed["class"], tuple(map(int, packed["shape"].split("x")))
    if kind in ("cell", "struct"):
        return Node(kind, shape, [unpack(one, file) for one in packed["value"]], tuple(packed.get("fields", ())))
    import numpy as np

    is_complex, dtype = "complex" in packed, np.dtype(NUMBERS[packed["stored"]][1])
    file.seek(int(packed["offset"]))
    data = np.fromfile(file, "u1", math.prod(shape) * dtype.itemsize * (1 + is_complex))
    return _text_node(shape, data.view(dtype)) if kind == "char" else Node(kind, shape, data, is_complex=is_complex)


def _text_node(shape: tuple[int, ...], codes: Any) -> Node:
    """Return the node of characters: bytes of UTF-8 of Octave, or units of UTF-16 of Matlab."""
    if shape == (0, 0) or (len(shape) == 2 and shape[0] == 1 and codes.size):
        try:
            text = codes.tobytes().decode("utf-8" if codes.itemsize == 1 else "utf-16-le")
        except UnicodeDecodeError:
            pass
        else:
            return Node("char", shape, text)
    return Node("char", shape, codes.astype("<u2").tobytes())
