from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said
from userspace.plugins.filters.uri_blocker import joined
from userspace.routing.pattern import PatternError


def rewrite(target: str, **conf: Any) -> tuple[int, str]:
    return said(filter_of("uri-blocker", conf).rewrite(request("GET", target)))


def test_path_and_query_are_searched_for_every_rule() -> None:
    rules = ["^a", "aa", "select.+(from|limit)", "root\\.exe$"]
    hit = [
        rewrite(target, block_rules=rules)[0]
        for target in ("/aa", "/x?aa=1", "/x?select%20all%20from", "/root.exe", "/ab")
    ]
    assert hit == [403, 403, 403, 403, 0]


def test_case_counts_unless_asked() -> None:
    assert rewrite("/AA", block_rules=["aa"]) == (0, "")
    assert rewrite("/AA", block_rules=["aa"], case_insensitive=True)[0] == 403


def test_the_refusal_is_a_page_or_a_message() -> None:
    assert "403 Forbidden" in rewrite("/aa", block_rules=["aa"])[1]
    conf = {"block_rules": ["aa"], "rejected_code": 402, "rejected_msg": "no"}
    assert rewrite("/aa", **conf) == (402, '{"error_msg":"no"}\n')


def test_rules_become_one_search_where_that_is_possible() -> None:
    assert len(joined(["a", "b|c", "d"], False)) == 1
    assert len(joined(["a" * 5000, "b" * 5000], False)) == 2
    with pytest.raises(PatternError, match="look"):
        joined(["a", "(?!look)"], False)
