"""Regular expressions over names: whole names, RE2's syntax, RE2/J's error texts, linear time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.broker.name_pattern import NamePattern, PatternError


@pytest.mark.parametrize(
    ("text", "name", "matches"),
    [
        ("orders", "orders", True),
        ("orders", "my-orders", False),
        ("orders.*", "orders-eu", True),
        ("(?i)ABC", "aBc", True),
        ("(?i:a)b", "Ab", True),
        ("(?i:a)b", "AB", False),
        ("(?i)a(?-i)b", "AB", False),
        (r"[[:alpha:]]+-\d{2,3}", "ab-12", True),
        (r"[[:^alpha:]]+", "ab", False),
        ("[^a-c]+", "xyz", True),
        ("[]a]+", "a", True),
        (r"[a\-z]+", "a-z", True),
        ("a|b|", "", True),
        ("^x$", "x", True),
        (r"\Ax\z", "x", True),
        (r"\bfoo\b.*", "foo-bar", True),
        (r"\bfoo\b.*", "foobar", False),
        (r"foo\B.*", "foobar", True),
        (r"\Qa.b\E", "a.b", True),
        (r"\Qa.b\E", "axb", False),
        (r"\Qa.b", "a.b", True),
        ("(?:ab){2}", "abab", True),
        ("a{,2}", "aa", False),
        ("x{0}", "", True),
        (r"\x61\x{62}\143", "abc", True),
        ("(?P<n>a)(?<m>b)", "ab", True),
        (r"\pL+", "ab", True),
        (r"\p{Lu}+\P{Lu}", "AB1", True),
        (r"\w+\W\S", "a-1", True),
        ("a*?b+?", "aab", True),
        (r"a\.b", "a-b", False),
        ("é", "e", False),
    ],
)
def test_a_name_matches_as_a_whole(text: str, name: str, matches: bool) -> None:
    assert NamePattern(text).matches(name) is matches


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(a", "missing closing )"),
        ("a)", "unexpected )"),
        ("[a", "missing closing ]"),
        ("a**", "invalid nested repetition operator"),
        ("a++", "invalid nested repetition operator"),
        ("*a", "missing argument to repetition operator"),
        ("(?=a)", "invalid or unsupported Perl syntax"),
        ("(?<!a)", "invalid or unsupported Perl syntax"),
        ("(?>a)", "invalid or unsupported Perl syntax"),
        (r"(a)\1", "invalid escape sequence"),
        (r"\y", "invalid escape sequence"),
        ("\\", "trailing backslash at end of expression"),
        ("a{2,1}", "invalid repeat count"),
        ("a{1001}", "invalid repeat count"),
        ("[b-a]", "invalid character class range"),
        (r"\p{Klingon}", "invalid character class range"),
        ("((a{1000}){1000})", "invalid repeat count"),
        ("(" * 500, "missing closing )"),
        ("(?<>a)", "invalid named capture"),
    ],
)
def test_what_re2_does_not_have_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PatternError, match=re.escape(reason)):
        NamePattern(text)


def test_the_time_does_not_explode() -> None:
    assert not NamePattern("(a+)+" * 20 + "x").matches("a" * 249)


ATOMS = st.sampled_from(["a", "b", "1", "-", ".", r"\.", "[ab]", "[^a]", r"\d", r"\w", "^", "$", r"\b"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
    ),
    max_leaves=12,
)


@given(text=EXPRESSIONS, names=st.lists(st.text("ab1-._", max_size=6), max_size=6))
def test_it_agrees_with_another_engine(text: str, names: list[str]) -> None:
    pattern, judge = NamePattern(text), re.compile(text)
    for name in names:
        assert pattern.matches(name) == (judge.fullmatch(name) is not None)


@given(text=st.text(max_size=12) | st.text("()[]{}|*+?\\-^$.,ab1:PQE<>=!i", max_size=12))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        NamePattern(text).matches("orders-1")
    except PatternError:
        pass
