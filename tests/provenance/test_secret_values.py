"""Secret values: which names and texts are secret, what stands for them, and what can be told from a seal."""

import datetime
import json
import logging
import os
import subprocess
import sys
from urllib.parse import quote, urlencode

import pytest

from neuroluigi.provenance import secret_values
from neuroluigi.provenance.secret_values import (
    KEY_FILE,
    agree,
    is_secret_name,
    key_of,
    masked,
    masked_words,
    may_make_key,
    replaced,
    without_seals,
    without_values,
)


@pytest.fixture(autouse=True)
def as_new(monkeypatch):
    """Let this process know no key, as one that has just started."""
    for name in ("_of_folder", "_named"):
        monkeypatch.setattr(secret_values, name, {})
    monkeypatch.setattr(secret_values, "_to_make", set())
    secret_values._new_key.cache_clear()
    secret_values._warn_of_other_key.cache_clear()


SECRET = "password passwd db_password dbPassword DB_PASSWORD --db-password DBPassword my.secret clientSecret token"
SECRET += " accessToken api_token api_key apiKey API_KEY api-key ApiKeys apikey credential aws_credentials token2"
PLAIN = "tokenize secretary tokens max_tokens pass key api keyboard apikeyboard monkey group threshold"


@pytest.mark.parametrize("name", SECRET.split())
def test_a_name_with_such_a_word_is_secret(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN.split())
def test_a_name_with_a_part_of_such_a_word_is_not(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("postgresql+psycopg2://me:hunter2@db.lab:5432/x", "postgresql+psycopg2://me:***@db.lab:5432/x"),
        ("redis://:hunter2@db", "redis://:***@db"),
        ("a://u:p@ss/w:o rd'@h/x", "a://u:***@h/x"),
        ("http://127.0.0.1:8082/", "http://127.0.0.1:8082/"),
        ("https://me@host/x", "https://me@host/x"),
        ('{"user": "me", "password": "hunter2"}', '{"user": "me", "password": "***"}'),
        ('[{"url": "x://a:hunter2@h"}]', '[{"url": "x://a:***@h"}]'),
        ('{"a":  1}', '{"a":  1}'),
        ("{not json", "{not json"),
        ({"db": {"password": "hunter2", "user": "me"}}, {"db": {"password": "***", "user": "me"}}),
        ({"password": "", "token": None}, {"password": "", "token": None}),
        ({"api_key": ["hunter2"]}, {"api_key": "***"}),
        ([1, 2.5, None, True, "text"], [1, 2.5, None, True, "text"]),
    ],
)
def test_what_is_secret_in_a_value_is_masked_and_nothing_else(value, shown):
    assert masked(value) == shown


def test_words_of_a_command_line():
    words = [
        "luigi",
        "Fetch",
        "--db-password",
        "hunter2",
        "--api-key=hunter2",
        "--url",
        "x://me:hunter2@h",
        "--pin",
        "7",
    ]
    shown = ["luigi", "Fetch", "--db-password", "***", "--api-key=***", "--url", "x://me:***@h", "--pin", "***"]
    assert masked_words(words, ["--pin"]) == shown
    assert masked_words(["--url=x://me:hunter2@h", "password", "-5"]) == ["--url=x://me:***@h", "password", "-5"]


def test_values_are_taken_out_of_a_text_unless_they_are_parts_of_many_words():
    assert without_values("no user hunter2 at a", ["hunter2", "a", 12345]) == "no user *** at a"
    assert without_values("is hunter234", ["hunter2", "hunter234"]) == "is ***"
    assert without_values("a", ["a"]) == "***" and without_values("pin 12345", [12345]) == "pin ***"


ODD = ["it's one", 'a "b" c', "d'\"e", "back\\slash", "l\ne", "pä$$ wörd/é", "x'\\'y", "\udcff&=+?"]


@pytest.mark.parametrize("value", ODD)
def test_values_are_taken_out_however_a_text_quotes_them(value):
    raw = value.encode(errors="surrogatepass")
    for text in (value, f"'{value}", f'"{value}', f"'\"{value}"):
        as_json = (json.dumps([text], ensure_ascii=is_ascii) for is_ascii in (True, False))
        for shown in (str(KeyError(text)), repr({"a": (text,)}), *as_json, repr(text.encode(errors="surrogatepass"))):
            assert without_values(shown, [value]).count("***") == 1, shown
    for shown in (quote(raw), quote(raw, safe=""), urlencode({"a": raw})):
        assert without_values(f"http://h/?{shown}", [value]).endswith("***")
    day = datetime.date(1999, 4, 7)
    assert without_values(f"{day} {[day]}", [day]) == "*** [***]"


def test_a_seal_tells_nothing_but_whether_it_is_of_the_same_value(tmp_path):
    may_make_key(tmp_path)
    key = key_of(tmp_path)
    first, again, other = key.seal("hunter2"), key_of(tmp_path).seal("hunter2"), key.seal("hunter3")
    assert first == again != other and "hunter" not in first + other
    assert key.seal(first) == first and without_seals(f"is {first}, was {other}") == "is ***, was ***"
    # Not a plain hash of the value, which could be looked up.
    assert len({first.rpartition(":")[2], key._replace(secret=bytes(32)).seal("hunter2").rpartition(":")[2]}) == 2


def test_the_key_is_made_where_results_are_written_once_and_for_its_user_alone(tmp_path):
    assert key_of(tmp_path / "results").seal(1) and not list(tmp_path.iterdir())
    may_make_key(tmp_path / "results")
    key = key_of(tmp_path / "results")
    path = tmp_path / "results" / KEY_FILE
    assert [one.name for one in path.parent.iterdir()] == [KEY_FILE]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    # Another process reads it.
    code = "import sys; from pathlib import Path; from neuroluigi.provenance.secret_values import key_of, may_make_key;"
    code += " may_make_key(Path(sys.argv[1])); print(key_of(Path(sys.argv[1])).seal('hunter2'))"
    done = subprocess.run([sys.executable, "-c", code, str(path.parent)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == key.seal("hunter2")


def sealed_by(folder, value):
    may_make_key(folder)
    return replaced(value, key_of(folder).seal)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ({"password": "a1"}, {"password": "a1"}, True),
        ({"password": "a1"}, {"password": "a2"}, False),
        ({"password": ""}, {"password": "a2"}, False),
        ({"password": None}, {"password": "a2"}, False),
        ({"password": "a1"}, {"password": ""}, False),
        ({"password": 5}, {"password": 5}, True),
        ({"password": ["a", {"b": 1}]}, {"password": ["a", {"b": 1}]}, True),
        ({"url": "x://u:a1@h"}, {"url": "x://u:a1@h"}, True),
        ({"url": "x://u:a1@h"}, {"url": "x://u:a2@h"}, False),
        ({"url": "x://u:a1@h"}, {"url": "x://u:a1@g"}, False),
        ({"of": '{"token": "a1"}'}, {"of": '{"token": "a1"}'}, True),
        ({"of": '{"token": "a1"}'}, {"of": '{"token": "a2"}'}, False),
        ([{"n": 1, "password": "a1"}], [{"n": 2, "password": "a1"}], False),
    ],
)
def test_what_changed_is_seen_by_seals_and_of_a_record_in_the_clear_too(tmp_path, old, new, same):
    today = sealed_by(tmp_path, new)
    assert agree(sealed_by(tmp_path, old), today) is same
    # Records of earlier releases have the value itself.
    assert agree(old, today) is same
    assert agree(today, old) is same


def test_seals_of_another_key_are_taken_as_unchanged_and_that_is_told_once(tmp_path, caplog):
    old = sealed_by(tmp_path / "a", {"password": "a1", "url": "x://u:a1@h", "n": 1})
    secret_values._new_key.cache_clear()
    new = sealed_by(tmp_path / "b", {"password": "a2", "url": "x://u:a2@h", "n": 1})
    with caplog.at_level(logging.WARNING):
        assert agree(old, new) and agree(old, new)
        # What is not secret is compared all the same.
        assert not agree({**old, "n": 2}, new) and not agree(old, {**new, "password": ""})
        assert not agree(old, {**new, "url": new["url"].replace("@h", "@g")})
    assert len(caplog.records) == 1 and KEY_FILE in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
def test_a_key_that_others_can_read_or_that_is_none_is_not_used(tmp_path):
    path = tmp_path / KEY_FILE
    for content, mode in ((b"0" * 64, 0o644), (b"short", 0o600), (b"0" * (1 << 20), 0o600), (b"\xff" * 64, 0o600)):
        path.write_bytes(content)
        path.chmod(mode)
        may_make_key(tmp_path)
        assert key_of(tmp_path).secret != bytes(32) and path.read_bytes() == content
    path.unlink()
    os.mkfifo(path)
    assert key_of(tmp_path).seal("a")
