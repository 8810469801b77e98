"""What is printed is harmless, exact where it is for machines, and readable where it is for people."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.cli.printing import Output, duration_text, escaped, json_text, local_time


@given(st.text())
def test_escaped_text_is_printable_and_printable_text_unchanged(text):
    shown = escaped(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_keeps_its_value_and_cannot_steer_a_terminal(text):
    shown = json_text(json.dumps({"path": text}, ensure_ascii=False).encode())
    assert json.loads(shown) == {"path": text}
    assert all(c.isprintable() or c == "\n" for c in shown)


@pytest.mark.parametrize("text", ["\x1b[31m", "a\rb", "a\nb", "\x9b2J", "\u202egpj.exe", "\u2028", "\x00", "\udcff"])
def test_what_could_fake_a_line_or_move_the_cursor_is_shown_as_an_escape(text):
    assert "\\" in escaped(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (40.4, "40 s"), (99, "99 s"), (720, "12 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")],
)
def test_durations_are_told_in_two_units_at_most(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize("time_ns", [0, -(10**18), 10**30, -(10**30)])
def test_any_time_can_be_told(time_ns):
    assert local_time(time_ns)


def test_plain_tables_are_aligned_and_have_no_trailing_blanks(capsys):
    Output(is_json=False).table(["N", "PATH"], [["1", "a"], ["22", "b\tc"]], right=(0,))
    assert capsys.readouterr().out == " N  PATH\n 1  a\n22  b\\tc\n"
