"""The columns of a table in a .mat file: a struct of vectors, a struct array, or vectors beside each other.

Files of version 7.3 are HDF5, where a struct is a group, and a cell, or a field of a struct array, has references.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import h5py

_FORMS = (
    "it has to be a struct of vectors, a struct array, or vectors of their own; of a table, Matlab's"
    " table2struct(T, 'ToScalar', true)"
)


def read_matlab_columns(path: Path, required: str) -> dict[str, list[Any]]:
    """Return the columns of the one table in a file that has the column `required`: numbers, texts, None for NaN.

    Raises RecordingsError where the file can't be read, has no such table or several, or columns of other lengths.
    """
    variables = _load(path)
    tables = {name: value for name, value in variables.items() if required in _fields(value)}
    if required in variables:
        # What else was saved with them need not be of trials.
        count = len(_cells(variables[required]) or ())
        alike = {name: value for name, value in variables.items() if len(_cells(value) or ()) == count}
        tables[required] = alike
    if len(tables) != 1:
        which = f"more than one: {', '.join(tables)}" if tables else f"none among {', '.join(variables) or 'nothing'}"
        raise RecordingsError(f"{path}: which variable has the trials is unknown, {which} with {required}; {_FORMS}")
    ((variable, value),) = tables.items()
    if not isinstance(value, Mapping):
        value = {name: [one[name] for one in value] for name in _fields(value)}
    columns = {name: _cells(one) for name, one in value.items()}
    count = len(columns[required] or ())
    for name, cells in columns.items():
        if cells is None or len(cells) != count:
            has = "is no vector of numbers or texts" if cells is None else f"has {len(cells)} values"
            raise RecordingsError(
                f"{path}, {variable}: {name} {has}, and {required} has {count}; take out what is not of trials"
            )
    return {name: cells for name, cells in columns.items() if cells is not None}


def _fields(value: Any) -> list[str]:
    """Return the names of the fields of a struct, or a struct array."""
    if isinstance(value, Mapping):
        return list(value)
    first = value[0] if isinstance(value, list) and value else None
    return list(first) if isinstance(first, Mapping) else []


def _cells(value: Any) -> list[Any] | None:
    """Return the cells of a column; None for what is none."""
    import numpy as np

    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return None
    array = np.asarray(value, object) if isinstance(value, list) else np.asarray(value)
    if array.size != max(array.shape, default=1):
        return None
    cells = [_cell(one) for one in array.ravel().tolist()]
    return None if any(isinstance(one, (Mapping, list, complex)) for one in cells) else cells


def _cell(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.ndarray):
        # An empty field of a struct array.
        value = None if not value.size else value.item() if value.size == 1 else value.tolist()
    value = int(value) if isinstance(value, bool) else value
    return None if value == "" or (isinstance(value, float) and math.isnan(value)) else value


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            is_hdf5 = file.read(512)[:19] == b"MATLAB 7.3 MAT-file"
        return _load_hdf5(path) if is_hdf5 else _load_old(path)
    except ImportError as error:
        name, extra = ("h5py", "formats") if error.name == "h5py" else ("SciPy", "mat")
        raise RecordingsError(f"reading {path} needs {name}: pip install 'neuroluigi[{extra}]'") from error
    except RecordingsError:
        raise
    except Exception as error:
        # A file that is cut short, or none of Matlab's, raises whatever comes to the readers.
        raise RecordingsError(
            f"can't read the table of trials {path}: {error}; it has to be a .mat file of Matlab; Octave writes one by"
            " save -v7"
        ) from error


def _load_old(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    loaded = loadmat(path, simplify_cells=True).items()
    variables = {name: value for name, value in loaded if not name.startswith("__")}
    return {name: _listed(value) for name, value in variables.items()}


def _listed(value: Any) -> Any:
    """Return an array of structs as a list of them."""
    import numpy as np

    is_cells = isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.size
    return list(value.flat) if is_cells and isinstance(value.flat[0], Mapping) else value


def _load_hdf5(path: Path) -> dict[str, Any]:
    import h5py

    with h5py.File(path, "r") as file:
        return {name: _value(one, file) for name, one in file.items() if not name.startswith("#")}


def _value(node: "h5py.Group | h5py.Dataset", file: "h5py.File") -> Any:
    import h5py
    import numpy as np

    if isinstance(node, h5py.Group):
        fields = {name: _value(one, file) for name, one in node.items()}
        # Each field of a struct array has references, and a cell says that it is one.
        arrays = [name for name, one in node.items() if isinstance(one, h5py.Dataset) and _is_references(one)]
        if arrays and all("MATLAB_class" not in node[name].attrs for name in arrays):
            counts = range(len(fields[arrays[0]]))
            return [{name: fields[name][n] for name in arrays} for n in counts]
        return fields
    kind = _text(node.attrs.get("MATLAB_class", b""))
    if node.attrs.get("MATLAB_empty", 0):
        return "" if kind == "char" else np.empty(0)
    if _is_references(node):
        return [_value(file[reference], file) for reference in node[()].ravel()]
    if kind == "char":
        return _characters(node[()])
    return node[()].ravel() if node.size == max(node.shape, default=1) else node[()]


def _is_references(node: "h5py.Dataset") -> bool:
    import h5py

    return h5py.check_ref_dtype(node.dtype) is h5py.Reference


def _characters(codes: Any) -> str:
    return codes.astype("<u2").T.tobytes().decode("utf-16-le") if codes.size else ""


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
