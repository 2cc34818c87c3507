"""What M-code can do to an engine that no reset undoes, as far as its text tells."""

import re

# What is no code: comments, also after a continuation, and texts. A quote after a value transposes it. In a text
# between double quotes a backslash is one for Matlab, and begins an escape for Octave.
_COMMENT_OR_TEXT = r"[%#][^\n]*|\.\.\.[^\n]*|(?P<text>(?<![\w)\]}'.])'(?:[^'\n]|'')*'|"
_NOT_CODE = tuple(
    re.compile(_COMMENT_OR_TEXT + inside) for inside in (r'"(?:[^"\n]|"")*")', r'"(?:[^"\n\\]|\\[^\n]|"")*")')
)
_BLOCK_BEGINS, _BLOCK_ENDS = ("%{", "#{"), ("%}", "#}")

_LASTING_BY_KIND = {
    "the process: its environment, threads, and end": "setenv putenv unsetenv umask maxNumCompThreads atexit",
    "functions that stay in memory": "mlock autoload dbstop profile imformats edit linkprop",
    "how M-files are read": "mfile_encoding slCharacterEncoding",
    "packages": "pkg",
    "code of other languages": "javaaddpath javarmpath javaclasspath javaArray javaMethod javaMethodEDT javaObject"
    " javaObjectEDT loadlibrary calllib actxserver pyenv pyversion pyrun pyrunfile",
    "processes that go on": "parpool parcluster matlabpool parfor parfeval parfevalOnAll spmd backgroundPool gpuDevice"
    " gpurng fork exec popen popen2",
    "options that solvers keep": "quad_options lsode_options daspk_options dasrt_options dassl_options fftw",
}
LASTING = frozenset(name for names in _LASTING_BY_KIND.values() for name in names.split())
_NAME = re.compile(r"(?<![\w.])[A-Za-z]\w*")
# What has a value of its own in a file is no function there: x = 1, x{2}(3).y = 1, [x, y] = size(z), function z = f(x).
_VARIABLES = re.compile(
    r"(?<![\w.])([A-Za-z]\w*)(?:\([^()\n]*\)|\{[^{}\n]*\}|\.\w+)*[ \t]*=(?!=)"
    r"|\[([^\[\]\n]*)\][ \t]*=(?!=)|@\(([^()\n]*)\)|^[ \t]*function\b([^\n]*)",
    re.MULTILINE,
)
_OTHER_LANGUAGE = re.compile(r"(?<![\w.])(java|javax|py|NET|com\.mathworks)\.\w")

# Calls whose argument is code, or the name of a function: it can be followed where it is a text.
_TAKES_CODE = re.compile(r"(?<![\w.])(?:(eval|evalc|evalin)|(feval|builtin|str2func)|(run|source)(?=\s*\())\b")
# These take one too, but a handle in most cases, which its own code shows.
_MAPS = re.compile(
    r"(?<![\w.])(?:cellfun|arrayfun|structfun|bsxfun|spfun|accumarray|nthargout)\s*\(\s*(?:[^(),']*,\s*)??'(\d+)'"
)
_TEXTS = re.compile(r"\s*\(\s*'(\d+)'\s*(?:,\s*'(\d+)'\s*)?\)")
_FIRST_TEXT = re.compile(r"\s*\(\s*(?:@|'(\d+)')")

# Commands of the shell that go on in the background.
_SHELL = re.compile(r"(?<![\w.])(system|unix|dos|shell_cmd)\b")
_BACKGROUND = re.compile(r"(?<![&>])&(?![&>])|\basync\b")
_ESCAPE = re.compile(r"^[ \t]*![^\n]*&[ \t]*$", re.MULTILINE)


def lasting_effects(code: str) -> list[str]:
    """Return what M-code names that leaves something behind in the engine: functions, Java, code that is not known."""
    code = _without_blocks(code)
    return sorted({effect for not_code in _NOT_CODE for effect in _effects_in(code, not_code)})


def _effects_in(code: str, not_code: re.Pattern) -> set[str]:
    texts: list[str] = []

    def without_text(found: re.Match) -> str:
        if found["text"] is None:
            return ""
        quote = found["text"][0]
        texts.append(found["text"][1:-1].replace(2 * quote, quote))
        return f"'{len(texts) - 1}'"

    bare = not_code.sub(without_text, code)
    variables = {name for found in _VARIABLES.findall(bare) for part in found for name in _NAME.findall(part)}
    effects = {name for name in _NAME.findall(bare) if name in LASTING} - variables
    effects |= set(_OTHER_LANGUAGE.findall(bare)) - variables
    for call in _TAKES_CODE.finditer(bare):
        if call[0] in variables:
            continue
        if found := (_TEXTS if call[1] else _FIRST_TEXT).match(bare, call.end()):
            effects.update(effect for k in found.groups() if k for effect in lasting_effects(texts[int(k)]))
        else:
            effects.add(f"{call[0]} of what is known only then")
    for name in (texts[int(k)] for k in _MAPS.findall(bare)):
        effects.update(lasting_effects(name))
    if _ESCAPE.search(bare) or (_SHELL.search(bare) and any(map(_BACKGROUND.search, texts))):
        effects.add("a command in the background")
    return effects


def _without_blocks(code: str) -> str:
    """Return M-code without the comments from a line %{ to a line %}, which may be within each other."""
    depth, lines = 0, []
    for line in code.split("\n"):
        depth += line.strip() in _BLOCK_BEGINS
        if not depth:
            lines.append(line)
        elif line.strip() in _BLOCK_ENDS:
            depth -= 1
    return "\n".join(lines)
