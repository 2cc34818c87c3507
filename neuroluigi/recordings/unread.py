"""Files below the root that may be recordings and are not read: they are counted, so that none is missed unawares."""

import os
from collections.abc import Mapping

from neuroluigi.recordings.formats.find import count_unread
from neuroluigi.recordings.recording import Declaration, Group


def also_there(declaration: Declaration, groups: Mapping[str, Group]) -> str:
    """Return a sentence on the files that may be recordings and are in no group; "" for none.

    Nor is there one where a table says what the recordings are.
    """
    root = declaration.folder
    if declaration.table or os.path.lexists(root / "recordings.csv"):
        return ""
    listed = [one for group in groups.values() for one in (*group.recordings, *group.excluded)]
    read = {path for one in listed for path in (one.path, os.path.abspath(root / one.name), *one.beside)}
    counted = count_unread(str(root), read, [declaration.results_folder])
    named = [
        f"{count:,} {extension} file{'s' if count > 1 else ''}{f' (format = {format})' if format else ''}"
        for (extension, format), count in sorted(counted.items())
    ]
    return f"Also there, and not read: {', '.join(named)}." if named else ""
