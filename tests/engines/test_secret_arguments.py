"""Arguments of a call as a log shows them: what is secret is masked, wherever it is in them."""

import numpy as np
import pytest

from neuroluigi.engines.secret_arguments import without_secrets
from neuroluigi.engines.typed import typed_call
from neuroluigi.engines.values import encode_arguments


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["a.bin", "hunter2", 5], "'a.bin', '***', 5"),
        (["by hunter2!", 1234], "'by ***!', '***'"),
        (["password", "any", "user", "me"], "'password', '***', 'user', 'me'"),
        (["password", "a_token", "user", "enter the token", 7], "'password', '***', 'user', 'enter the token', 7"),
        ([{"db": {"apiKey": [1, 2], "n": 2}}], "struct('db', struct('apiKey', '***', 'n', 2))"),
        ([["x", "hunter2"]], "{'x'; '***'}"),
        (["x://me:other@h/"], "'x://me:***@h/'"),
        (
            [[{"token": 1, "n": 2}, {"token": 3, "n": 4}]],
            "{struct('token', '***', 'n', 2); struct('token', '***', 'n', 4)}",
        ),
        ([1, True, [1, 2, 3], None, {}, []], "1, true, [1; 2; 3], [], struct(), cell(0, 1)"),
    ],
)
def test_what_is_secret_is_masked_and_nothing_else(arguments, shown):
    encoded = encode_arguments(arguments)
    assert typed_call("f", without_secrets(encoded, ["hunter2", 1234, 1])) == f"f({shown})"


def test_large_arrays_stay_as_they_are():
    encoded = encode_arguments([np.zeros((100, 1000))])
    assert without_secrets(encoded, [1234]).data[0] is encoded.data[0]
