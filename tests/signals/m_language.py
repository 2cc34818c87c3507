"""The language that Matlab R2022b and Octave 7 have in common: what is wrong with an M-file for one of the two."""

import re

# What only one of the two knows, or what means two things: looked for in code without comments and strings.
DENIED = {
    "assignment operator": r"[-+*/^|&]=",
    "increment": r"\+\+|--",
    "exclamation mark": "!",
    "double asterisk": r"\*\*",
    "hash sign": "#",
    "double quote": '"',
    "index of a result": r"[)\]]\s?[({](?<!\s[({])",
    "index of a text": r"''\(",
    "long end": r"\bend_?(if|function|while|for|switch|parfor|try_catch|unwind_protect)\b",
    "unwind_protect": r"\bunwind_protect(_cleanup)?\b",
    "do until": r"\b(do|until)\b",
    "arguments block": r"(?m)^\s*arguments\s*(\(|$)",
    "printf": r"\b(printf|puts|fputs|fdisp|fdisplay)\b",
    "fflush(stdout)": r"\bfflush\b|\bstdout\b",
    "rename": r"\brename\s*\(",
    "string": r"(?<![.\w])(string|strlength|contains)\s*\(",
    "MException": r"\b(MException|getReport)\b",
    "reduction over several dimensions": r"\b(sum|prod|min|max|mean|median|std|var|any|all)\([^()]*,\s*\[[\d\s,]+\]",
    "round to digits": r"\bround\([^()]*,",
    "assignment in a condition": r"\b(if|while)\b[^\n=<>~]*[^\n=<>~]=[^=]",
}
# Likewise, in code with its strings.
DENIED_WITH_STRINGS = {"option 'all'": r",\s*'(all|omitnan|omitmissing|includenan)'"}


def _words(text: str) -> set[str]:
    return set(text.split())


KEYWORDS = _words("break case catch continue else elseif end for function if otherwise return switch try while")

# Functions and constants that are known to be the same in both.
KNOWN = _words("""
    abs accumarray addpath all any arrayfun builtin cast cat cd ceil cell cell2struct cellfun char class close complex
    cos cumsum deal delete diary diff dir dot double drawnow eps error evalin exist false fclose feval fft fieldnames
    fileparts fileread filesep find floor fopen fprintf fread fseek ftell fullfile func2str fwrite get getappdata
    getenv ifft imag inf int16 int64 isa iscell ischar isempty isequal isfield isfile isfinite isinf islogical
    ismember isnan isnumeric ispc isreal isscalar issparse isstruct jsondecode jsonencode lasterr lasterror lastwarn
    logical lower max median min mod movefile NaN nan nargin native2unicode nextpow2 num2cell num2str numel onCleanup
    ones path pause pi prod pwd real regexp repmat reshape rethrow rmappdata set setappdata setdiff sign sin single
    size sort sortrows sprintf sqrt sscanf str2double strcmp strfind strjoin strrep struct struct2cell sum tic toc
    true typecast uint16 uint32 uint8 unicode2native unique varargin version warning zeros
""")

# Called through feval under Octave alone.
OCTAVE_ONLY = _words(
    "crash_dumps_octave_core sigterm_dumps_octave_core sighup_dumps_octave_core rename fflush stdout stderr"
)

# Likewise under Matlab alone.
MATLAB_ONLY = _words("rng timerfindall")

_TEXT = r"'(?:[^'\n]|'')*'"
_COMMENT = r"%[^\n]*|\.\.\.[^\n]*"
_TRANSPOSE = r"(?<=[\w\])}'.])'"
_NAME = r"(?<![\w.])[A-Za-z]\w*"


def without(code: str, *, strings: bool) -> str:
    """Return code without comments, and with every text as '' if `strings`."""

    def replace(match: re.Match) -> str:
        token = match.group()
        if token.startswith(("%", "...")):
            return ""
        return "''" if strings and len(token) > 1 else token

    return re.sub(f"{_TRANSPOSE}|{_TEXT}|{_COMMENT}", replace, code)


def variables(code: str) -> set[str]:
    """Return the names that a function, a loop, a catch or an assignment makes."""
    found = set()
    for pattern in (
        r"^\s*function\s+(?:\[?([\w\s,~]*)\]?\s*=)?",  # outputs
        r"^\s*function\s+(?:[^=\n]*=\s*)?\w+\(([^)]*)\)",  # inputs
        r"^\s*(?:for\s+)?(\w+)(?:\([^=\n]*\)|\{[^=\n]*\}|\.[\w.()]+)*\s*=(?!=)",
        r"^\s*\[([\w\s,~]+)\]\s*=(?!=)",
        r"\bcatch\s+(\w+)",
        r"@\(([^)]*)\)",
    ):
        for names in re.findall(pattern, code, re.M):
            found.update(re.findall(r"\w+", names))
    return found - KEYWORDS


def findings(code: str, own: frozenset[str] = frozenset()) -> set[str]:
    """Return what is wrong with the language of an M-file; `own` are the functions of the project."""
    bare, commented = without(code, strings=True), without(code, strings=False)
    found = {name for name, pattern in DENIED.items() if re.search(pattern, bare)}
    found |= {name for name, pattern in DENIED_WITH_STRINGS.items() if re.search(pattern, commented)}
    if not code.isascii():
        found.add("not ASCII")
    if not re.match(r"\s*function\b", bare):
        found.add("no function file")
    local = set(re.findall(r"^\s*function\s+(?:[^=\n]*=\s*)?(\w+)", bare, re.M))
    called = set(re.findall(_NAME, bare)) - KEYWORDS - variables(bare) - local
    found |= {f"unknown {name}" for name in called - KNOWN - own}
    for name in re.findall(r"\bfeval\(\s*'(\w+)'", commented):
        if name not in KNOWN | OCTAVE_ONLY | MATLAB_ONLY | own:
            found.add(f"unknown {name}")
    return found
