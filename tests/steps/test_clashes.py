"""Which paths are one file on some disk; what a pipeline is refused for is in test_plan.py."""

import pytest

from neuroluigi.steps.clashes import name_on_any_disk


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("/r/a/x.txt", "/r/a/X.TXT", True),
        ("/r/a/x.txt", "/r/b/x.txt", False),
        ("/r/é.txt", "/r/É.txt", True),
        ("/r/é.txt", "/r/é.txt", True),
        ("/r/é.txt", "/r/e.txt", False),
    ],
)
def test_two_paths_are_one_file_where_case_and_normal_form_make_no_difference(first, second, is_one):
    assert (name_on_any_disk(first) == name_on_any_disk(second)) is is_one
