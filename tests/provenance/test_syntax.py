"""The digest of Python code: what changes it, and that no version of Python does."""

import ast

import pytest

from neuroluigi.provenance.syntax import Import, bound_names, digest, uses_of

# What versions of Python parse into different trees, print differently, or have other fields for.
VERSIONS = '''
"""Text."""
import a.b as c
def f(x: int = 1, /, *args, y=None, **kwargs) -> "int":
    """Text."""
    return f"{x!r:>{y}}a" "b" f"{{c}} {x=} {y:%H:%M}" + u"d" + 'é\\U0001fae0\\x7f\\u200b'
class A(B, metaclass=C):
    x: int = 0x1F
    def g(self):
        pass
async def h():
    async with a as b:
        yield -1e300, 1_000, 3j, b"\\xff", ..., {**a, 1: 2}, [*b], a[1:2, ::3], lambda: (yield)
    match a:
        case {"k": [1, *rest], **more} | A(x=1) if rest: return
try:
    pass
except (A, B) as e:
    raise X from e
'''


def of(code: str) -> str:
    return digest(ast.parse(code).body)


def test_the_digest_is_that_of_every_version_of_python():
    """As computed with Python 3.10, 3.11, 3.12 and 3.13."""
    assert of(VERSIONS) == "2f5f35ddd7a39a6da72a4d41739058a041bf4ebc0e9c787971042f85874025ef"


@pytest.mark.parametrize(
    "one, other",
    [
        ("def f(): return 1", "def f():\n    # one\n    return (1)\n"),
        ("def f(): return 1", "def f():\n    'text'\n    return 1\n"),
        ("class A:\n  x = 1", "class A:\n  'text'\n  x = 1\n  'what x is'\n"),
        ("def f(): pass", "def f(): 'text'"),
        ("x = 'a'", 'x = u"a"'),
        ("x = 16", "x = 0x10"),
        ("x = f'a' 'b'", "x = f'ab'"),
    ],
)
def test_what_says_the_same(one, other):
    assert of(one) == of(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 1", "x = '1'"),
        ("x = 'a'", "x = b'a'"),
        ("x = 0.1", "x = 0.10000000000000002"),
        ("f(a, b)", "f(a), b"),
        ("f([a], b)", "f([a, b])"),
        ("{**a, 1: b}", "{1: b, **a}"),
        ("def f(a, b=1): pass", "def f(a, *, b=1): pass"),
        ("def f(a): x", "def f(*a): x"),
        ("x = f'{a}b'", "x = f'{a!r}b'"),
        ("x = y", "x == y"),
        ("if a: b\nc", "if a:\n  b\n  c"),
        ("x = ()", "x = []"),
        ("x = 'return 1'", "x = 'return 2'"),
    ],
)
def test_what_says_something_else(one, other):
    assert of(one) != of(other)


def test_long_expressions_and_numbers():
    assert of(f"x = {' + '.join(['1'] * 900)}") != of(f"x = {' + '.join(['1'] * 899)}")
    assert of(f"x = {hex(10**5000)}") != of(f"x = {hex(10**5000 + 1)}")


def test_what_code_names():
    uses = uses_of(ast.parse("def f(self): return a.b(self.c.d, super().e, g().h[i].j)").body, "")
    assert uses.chains == {("a", "b"), ("self", "c", "d"), ("super",), ("g",), ("i",)}
    assert uses.of_self == {"c", "e"}
    assert uses.attributes == {"b", "d", "h", "j"}


def test_what_code_imports():
    imports = uses_of(ast.parse("import a.b, c.d as e\nfrom . import f\nfrom ..g import h as i\n").body, "x.y").imports
    assert set(imports) == {
        Import("a", "a"),
        Import("e", "c.d"),
        Import("f", "x.y", "f"),
        Import("i", "x.g", "h"),
    }


@pytest.mark.parametrize(
    "code, names",
    [
        ("a = b = c", {"a", "b"}),
        ("(a, [b, *c]) = d", {"a", "b", "c"}),
        ("a['x'].y[0] = b", {"a"}),
        ("a: int = 1", {"a"}),
        ("a += b", {"a"}),
        ("for a in b: c = d", {"a", "c"}),
        ("with a as b: pass", {"b"}),
        ("if a: import b.c\nelse: from d import e as f", {"b", "f"}),
        ("def a(b=(c := 1)): d = 1", {"a"}),
        ("class a:\n  b = 1", {"a"}),
        ("a = [b for c in d]", {"a"}),
        ("f(a)", set()),
    ],
)
def test_which_names_a_statement_gives(code, names):
    (statement,) = ast.parse(code).body
    assert bound_names(statement) == names
