import time

import pytest

from userspace.routing.pattern import MAX_LENGTH, Pattern, PatternError, Replacement


def test_it_is_found_anywhere_in_a_text_or_in_bytes() -> None:
    assert Pattern(r"b+\d").found("abb1") and Pattern(r"b+\d").found(b"abb1")
    assert not Pattern(r"^b+\d").found("abb1")


def test_case_counts_unless_told_otherwise() -> None:
    assert not Pattern("ABC").found("abc")
    assert Pattern("ABC", ignore_case=True).found("abc")


def test_bytes_that_are_no_text_are_matched_as_bytes() -> None:
    assert Pattern("a.b").found("a\udcffb")
    assert Pattern("ü").found("grün")


@pytest.mark.parametrize(
    ("pattern", "text", "taken"),
    [
        (r"/(\w+)/(\d+)?", "/user/", ("/user/", "user", None)),
        (r"(x)|(y)", "ay", ("y", None, "y")),
        (r"nothing", "ay", None),
    ],
)
def test_it_says_what_its_groups_took(pattern: str, text: str, taken: tuple[str | None, ...] | None) -> None:
    assert Pattern(pattern).groups(text) == taken


@pytest.mark.parametrize(
    ("pattern", "text", "template", "once", "result"),
    [
        (r"^/test/(.*)/(.*)", "/test/a/b", "/$2/$1", True, ("/b/a", 1)),
        (r"a(\d)", "a1a2", "<${1}0>", True, ("<10>a2", 1)),
        (r"a(\d)", "a1a2", "<$1>", False, ("<1><2>", 2)),
        (r"a", "a", "$$0 $0 $9 $x", True, ("$0 a  $x", 1)),
        (r"x*", "abc", "-", False, ("-a-b-c-", 4)),
        (r"z", "abc", "-", False, ("abc", 0)),
    ],
)
def test_matches_are_replaced_as_nginx_does(
    pattern: str, text: str, template: str, once: bool, result: tuple[str, int]
) -> None:
    assert Pattern(pattern).sub(text, Replacement(template), once) == result
    data, count = Pattern(pattern).sub_bytes(text.encode(), Replacement(template), once)
    assert (data.decode(), count) == result


def test_a_replacement_knows_its_highest_group() -> None:
    assert Replacement("/$2/${11}").groups == 11
    assert Replacement("/plain").groups == 0


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (r"(abc", r"missing \)"),
        (r"^/(?!api)", "perl operator"),
        (r"(a)\1", "escape sequence"),
        (r"(a{1000}){1000}", "repetition"),
        (r"(?:(?:a{100}){10}b){50}", "too large|repetition"),
        ("a" * (MAX_LENGTH + 1), "characters"),
    ],
)
def test_what_is_not_served_is_refused_with_its_reason(pattern: str, says: str) -> None:
    with pytest.raises(PatternError, match=says):
        Pattern(pattern)


def test_no_text_makes_it_slow() -> None:
    evil = [Pattern(r"^(a+)+$"), Pattern(r"(x+x+)+y"), Pattern(r"(.*a){12}b")]
    started = time.process_time()
    assert not any(pattern.found("a" * 20000 + "!" + "x" * 20000) for pattern in evil)
    assert time.process_time() - started < 1
