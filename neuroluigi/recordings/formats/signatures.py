"""What a file is by its first bytes, or by a name that only such files have: formats that are not raw samples."""

# How many of its first bytes are looked at.
START_BYTES = 64

_HDF5 = "an HDF5 file"
_MATLAB = "a Matlab file"
_BLACKROCK = "a Blackrock file"
_NEURALYNX = "a Neuralynx file"
_TDT = "a TDT file"
_TEXT = "a text file"

# What these formats begin with, by their specifications; four bytes or more, so that samples don't look like one.
_BEGINNINGS = {
    b"RIFF": "a WAV file",
    b"RIFX": "a WAV file",
    b"RF64": "a WAV file",
    b"BW64": "a WAV file",
    b"riff\x2e\x91\xcf\x11": "a WAV file (Wave64)",
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"\x93NUMPY": "a NumPy file",
    b"\x89HDF\r\n\x1a\n": _HDF5,
    b"MATLAB 5.0 MAT": _MATLAB,
    b"MATLAB 7.": _MATLAB,
    b"Octave-1-": "an Octave file",
    b"0       ": "an EDF file",
    b"\xffBIOSEMI": "a BDF file",
    b"ABF ": "an Axon file (ABF)",
    b"ABF2": "an Axon file (ABF)",
    b"\x02\x27\x91\xc6": "an Intan RHD file",
    b"\xac\x27\x91\xd6": "an Intan RHS file",
    b"NEURALSG": _BLACKROCK,
    b"NEURALCD": _BLACKROCK,
    b"NEURALEV": _BLACKROCK,
    b"BRSMPGRP": _BLACKROCK,
    b"BREVENTS": _BLACKROCK,
    b"######## Neuralynx": _NEURALYNX,
    b"PLEX": "a Plexon file",
    b"header.format = ": "an Open Ephys file of records (.continuous)",
    b"MCSSTRM ": "a Multi Channel Systems file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b\x08\x00": "a gzip-compressed file",
    b"\x1f\x8b\x08\x08": "a gzip-compressed file",
    b"\xfd7zXZ\x00": "an xz-compressed file",
    b"BZh91AY&SY": "a bzip2-compressed file",
    b"\x28\xb5\x2f\xfd": "a Zstandard-compressed file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"SQLite format 3\x00": "an SQLite file",
    b"PAR1": "a Parquet file",
    b"\x89PNG\r\n\x1a\n": "a picture",
    b"%PDF-": "a PDF file",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML file",
    b"version https://git-lfs": "a pointer of Git LFS to a file that is not fetched",
    b"/annex/objects/": "a pointer of git-annex to a file that is not fetched",
}
_ALL_BEGINNINGS = tuple(_BEGINNINGS)

# Extensions that raw samples never have: some of these formats have no beginning of their own, and a file of the others
# that begins in another way is broken.
_EXTENSIONS = {
    "wav": "a WAV file",
    "flac": "a FLAC file",
    "npy": "a NumPy file",
    "npz": "a NumPy archive",
    "h5": _HDF5,
    "hdf5": _HDF5,
    "nwb": "an NWB file",
    "mat": _MATLAB,
    "edf": "an EDF file",
    "bdf": "a BDF file",
    "abf": "an Axon file (ABF)",
    "rhd": "an Intan RHD file",
    "rhs": "an Intan RHS file",
    "cbin": "a file compressed by mtscomp",
    **dict.fromkeys(("ns1", "ns2", "ns3", "ns4", "ns5", "ns6", "nev"), _BLACKROCK),
    **dict.fromkeys(("ncs", "nse", "ntt", "nst", "nev"), _NEURALYNX),
    **dict.fromkeys(("plx", "pl2"), "a Plexon file"),
    **dict.fromkeys(("smr", "smrx"), "a Spike2 file"),
    **dict.fromkeys(("tev", "tsq", "sev"), _TDT),
    "continuous": "an Open Ephys file of records (.continuous)",
    "mcd": "a Multi Channel Systems file",
    "parquet": "a Parquet file",
    **dict.fromkeys(("gz", "bz2", "xz", "zst", "zip", "7z"), "a compressed file"),
    **dict.fromkeys(("csv", "tsv", "txt", "json", "xml", "meta", "vhdr", "vmrk", "oebin"), _TEXT),
}

# Of these, those of files with samples, as a recording has.
OF_RECORDINGS = frozenset(
    extension for extension, what in _EXTENSIONS.items() if what not in (_TEXT, "a compressed file")
) - {"nev", "nse", "ntt", "nst", "tsq", "npz"}

COMPRESSED = tuple(f".{extension}" for extension, what in _EXTENSIONS.items() if what == "a compressed file")


def format_of(path: str, start: bytes) -> str:
    """Return which format a file has, "a WAV file"; "" where nothing speaks against raw samples.

    `start` has its first START_BYTES bytes, or all where there are fewer.
    """
    if start.startswith(_ALL_BEGINNINGS):
        return next(what for beginning, what in _BEGINNINGS.items() if start.startswith(beginning))
    return _EXTENSIONS.get(path.rpartition(".")[2].lower(), "")
