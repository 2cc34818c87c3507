"""Functions that wait for a person: in an engine that nobody sits at, they are errors, by M-files of their names.

Octave fills the log with prompts for ever (keyboard, yes_or_no) or waits for ever (pause, uiwait, waitfor); Matlab's
documentation does not say what they do with -batch. M-files of the same names in the folders of a lab come first.
"""

from pathlib import Path

IDENTIFIER = "neuroluigi:prompt"

# When each waits for a person, and what it does otherwise.
_ALWAYS = ("true", "")
_PROMPTS = {
    **dict.fromkeys(("keyboard", "input", "yes_or_no", "ginput", "waitforbuttonpress", "dbstop"), _ALWAYS),
    "kbhit": ("nargin == 0", "builtin('kbhit', varargin{:})"),
    "pause": ("nargin == 0", "builtin('pause', varargin{:})"),
    # An M-file, of which nothing is left under a file of the same name; without a person it takes all that time.
    "uiwait": ("nargin < 2", "builtin('pause', varargin{2})"),
    "waitfor": ("~any(strcmpi(varargin, 'timeout'))", "builtin('waitfor', varargin{:})"),
}

_M_FILE = """function varargout = {name}(varargin)
  % {upper} fails where it would wait for a person; made by prompts.py.
  if {waits}
    error('{identifier}', '{name} waits for a person, and nobody sits at this engine: take it out');
  end
{otherwise}end
"""


def write_prompts(folder: Path) -> None:
    """Write the M-files into a new folder, which is to come before the engine's own on its path."""
    folder.mkdir()
    for name, (waits, call) in _PROMPTS.items():
        otherwise = (
            f"  if nargout == 0\n    {call};\n  else\n    [varargout{{1:nargout}}] = {call};\n  end\n" if call else ""
        )
        text = _M_FILE.format(name=name, upper=name.upper(), waits=waits, identifier=IDENTIFIER, otherwise=otherwise)
        (folder / f"{name}.m").write_text(text, encoding="ascii")


def is_prompt(name: str) -> bool:
    """Whether a function is one of these."""
    return name in _PROMPTS
