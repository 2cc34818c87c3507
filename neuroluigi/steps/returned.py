"""The files of the values that an M-function returns: a .json file for a value of any kind, a .npy file for an array.

Plain JSON is what it says: a number a double, true and false logical, text a char row, an object a struct, a list a
cell, of one column. Where that does not say all, {"class": ..., "shape": ..., "value": [...]} has the elements, columns
first: numbers of another class, arrays, "NaN", "Infinity" and "-Infinity", cells of another shape, struct arrays (with
"fields"); "imaginary" has the imaginary parts.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

from neuroluigi.engines.values import (
    LARGEST_WHOLE_DOUBLE,
    NUMBERS,
    MatlabArray,
    Node,
    array_of,
    as_scalar,
    class_of_dtype,
    decode,
)
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.target import ResultTarget

_TAG = {"class", "shape", "value"}


_NAME = re.compile(r"([A-Za-z]\w*)(\.npy)?", re.ASCII)


def split_name(name: str) -> tuple[str, str]:
    """Return the name of a value that a function returns, and the end of the name of its file: .json or .npy."""
    stem, _, suffix = name.partition(".")
    return stem, f".{suffix or 'json'}"


def check_names(names: Any, what: str) -> None:
    """Raise TypeError, with `what`, unless these are the names of the values that a function returns."""
    if not isinstance(names, tuple):
        raise TypeError(f'{what} has to be a tuple of names, such as ("count", "spikes.npy"); it is {names!r}')
    for name in names:
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise TypeError(
                f"{what}: {name!r} is no name of a value: letters, digits and _, a letter first, as in Matlab; with"
                ' .npy after it for an array of numbers, as in "spikes.npy"'
            )
    # Some systems don't tell files apart by upper and lower case.
    stems = [split_name(name)[0].lower() for name in names]
    if twice := [name for name, stem in zip(names, stems, strict=True) if stems.count(stem) > 1]:
        raise TypeError(f"{what} names a value twice: {', '.join(twice)}")


class ReturnedTarget(ResultTarget):
    """The file of a value that an M-function returned."""

    def load(self) -> Any:
        """Return the value: float, bool, str, list or dict, or what keeps its class and shape.

        That is a scalar or an array of NumPy, of two dimensions at least, and for cells of a shape, struct arrays and
        text that is no row a MatlabArray. Given to an M-function as an argument, each arrives as it was returned.
        """
        content = super().load()
        return from_json(content) if self.path.endswith(".json") else content


def write_returned(path: Path, node: Node, name: str) -> None:
    """Write a value that is called `name` to a .json or .npy file. Raises StepError where that can't hold it."""
    if path.suffix == ".json":
        text = json.dumps(to_json(decode(node)), ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
    elif path.suffix != ".npy":
        raise StepError(f"{name} can't be kept in {path.name}: end the name of the file in .json or .npy")
    elif node.kind not in NUMBERS:
        raise StepError(f"{name} is a {node.kind}, and an .npy file holds numbers: name it {name!r}, for a .json file")
    else:
        import numpy as np

        np.save(path, array_of(node))


def to_json(value: Any) -> Any:
    """Return a value, of those that decode() returns, as a JSON file has it."""
    if isinstance(value, MatlabArray):
        tagged: dict[str, Any] = {"class": value.kind, "shape": value.shape}
        if value.kind == "struct":
            return {**tagged, "fields": value.fields, "value": [_object(one) for one in value]}
        return {**tagged, "value": [to_json(one) if value.kind == "cell" else one for one in value]}
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, list):
        return [to_json(one) for one in value]
    if isinstance(value, dict):
        # One with the names of a tag would be read as such.
        is_tag = value.keys() >= _TAG
        return to_json(MatlabArray([value], "struct", (1, 1), tuple(value))) if is_tag else _object(value)
    if type(value) is float and math.isfinite(value):
        return _number(value)
    return _tagged_array(value)


def _object(fields: dict) -> dict:
    return {name: to_json(one) for name, one in fields.items()}


def _tagged_array(array: Any) -> dict:
    """Return the JSON object of a scalar or an array of numbers."""
    import numpy as np

    array = np.asarray(array)
    parts = {"value": array.real, "imaginary": array.imag} if array.dtype.kind == "c" else {"value": array}
    lists = {name: [_number(one) for one in part.ravel(order="F").tolist()] for name, part in parts.items()}
    return {"class": class_of_dtype(array.dtype), "shape": array.shape or (1, 1), **lists}


def _number(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    is_short = value.is_integer() and abs(value) <= LARGEST_WHOLE_DOUBLE and str(value) != "-0.0"
    return int(value) if is_short else value


def from_json(content: Any) -> Any:
    """Return the value that to_json() returned `content` for."""
    if isinstance(content, list):
        return [from_json(one) for one in content]
    if not isinstance(content, dict):
        return content if isinstance(content, (bool, str)) else float(content)
    if not content.keys() >= _TAG:
        return {name: from_json(one) for name, one in content.items()}
    kind, shape, values = content["class"], tuple(content["shape"]), content["value"]
    if kind == "cell":
        return MatlabArray(map(from_json, values), kind, shape)
    if kind == "struct":
        structs = [{name: from_json(one) for name, one in fields.items()} for fields in values]
        return structs[0] if shape == (1, 1) else MatlabArray(structs, kind, shape, content["fields"])
    if kind == "char":
        return MatlabArray(values, kind, shape)
    return _array(kind, shape, values, content.get("imaginary"))


def as_columns(content: Any, name: str) -> Any:
    """Return the content of a JSON file as an object of numbers, texts and lists, as far as it is one.

    A value alone is called `name`; an array of numbers is the list of its elements, one element a number.
    """
    if isinstance(content, dict) and not content.keys() >= _TAG:
        return {name: _untagged(one) for name, one in content.items()}
    return content if isinstance(content, list) else {name: _untagged(content)}


def _untagged(content: Any) -> Any:
    is_array = isinstance(content, dict) and content.keys() == _TAG and content["class"] in NUMBERS
    if not is_array:
        return content
    numbers = [None if one == "NaN" else one for one in content["value"]]
    return numbers[0] if len(numbers) == 1 else numbers


def _array(kind: str, shape: tuple[int, ...], values: list, imaginary: list | None) -> Any:
    import numpy as np

    dtype = NUMBERS[kind][1]
    is_whole = dtype[0] != "f"
    array = np.array(values if is_whole else [float(one) for one in values], dtype)
    if imaginary is not None:
        both = np.empty(len(values), f"c{2 * array.itemsize}")
        both.real, both.imag = array, [float(one) for one in imaginary]
        array = both
    return as_scalar(array.reshape(shape, order="F"))
