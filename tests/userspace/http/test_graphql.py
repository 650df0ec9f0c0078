import pytest

from userspace.http.graphql import MAX_DEPTH, Operation, first_operation


@pytest.mark.parametrize(
    ("document", "operation"),
    [
        ("{ hero }", Operation("query", "", ("hero",))),
        ("query { hero, villain }", Operation("query", "", ("hero", "villain"))),
        ("query getRepo { owner { name } repo { created } }", Operation("query", "getRepo", ("owner", "repo"))),
        ("mutation M($a: [Int!]! = [1], $b: In = {x: 1}) @d(if: $a) { put }", Operation("mutation", "M", ("put",))),
        ('subscription S { s(a: {b: [1.5e3, "}"]}, c: $d) @x { y } }', Operation("subscription", "S", ("s",))),
        ('{ alias: field(x: """block "} quote""") }', Operation("query", "", ("field",))),
        ("# comment {\n{ a ...F ... on T { b } ... @x { c } }", Operation("query", "", ("a", "F", "b", "c"))),
        ("query A { a } query B { b } fragment F on T { f }", Operation("query", "A", ("a",))),
        ("fragment F on T @d { f }", Operation("", "F", ("f",))),
        ("{ query mutation: on }", Operation("query", "", ("query", "on"))),
    ],
)
def test_it_finds_the_first_operation(document: str, operation: Operation) -> None:
    assert first_operation(document) == operation


@pytest.mark.parametrize(
    "document",
    [
        "",
        "# nothing",
        "AA",
        "query",
        "query {",
        "query { }",
        "{ a } }",
        "{ a(b: [1) }",
        "{ a ",
        "{ a: }",
        "{ ... on }",
        "fragment F { a }",
        "{ a } junk",
        '{ a(b: "unclosed) }',
        "{ a ^ }",
        "query Q(",
        "{a" * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1),
        "{ a(b: " + "[" * 100 + "]" * 100 + ") }",
    ],
)
def test_what_is_no_graphql_is_refused(document: str) -> None:
    with pytest.raises(ValueError):
        first_operation(document)


def test_a_long_document_takes_time_by_its_length_only() -> None:
    assert len(first_operation("{" + " a" * 100_000 + "}").fields) == 100_000
    with pytest.raises(ValueError):
        first_operation('{ a(b: "' + '\\"' * 100_000)
