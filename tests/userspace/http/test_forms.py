import pytest

from userspace.http.forms import MAX_FIELDS, multipart, urlencoded

TYPE = 'multipart/form-data; boundary="B"'


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        (b"", {}),
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a&b=&=c&&", {"a": [""], "b": [""]}),
        (b"a=x+y%20z%2B&%61=2", {"a": ["x y z+", "2"]}),
        (b"a=%C3%BC&b=%zz&c=%ff", {"a": ["ü"], "b": ["%zz"], "c": ["\udcff"]}),
        ("a=ü+%C3%BC".encode(), {"a": ["ü ü"]}),
        (b"a=b=c", {"a": ["b=c"]}),
    ],
)
def test_a_urlencoded_form_has_its_fields(form: bytes, fields: dict[str, list[str]]) -> None:
    assert urlencoded(form) == fields


def test_no_more_fields_are_looked_at_than_there_may_be() -> None:
    assert len(urlencoded(b"&".join(b"a%d=1" % number for number in range(5000)))) == MAX_FIELDS
    parts = b"".join(b'--B\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n1\r\n' % n for n in range(5000))
    assert len(multipart(parts + b"--B--", TYPE)) == MAX_FIELDS


def part(name: str, value: str, more: str = "") -> str:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (part("a", "1") + part("b", "two\r\nlines") + "--B--\r\n", {"a": ["1"], "b": ["two\r\nlines"]}),
        (part("a", "1") + part("a", "2") + "--B--", {"a": ["1", "2"]}),
        (part("f", "data", '; filename="name=x"') + "--B--", {"f": ["data"]}),
        ("preamble\r\n" + part("a", "") + "--B--epilogue" + part("b", "x"), {"a": [""]}),
        ("--B\r\nno name\r\n\r\nx\r\n--B\r\nno blank line--B--", {}),
        ("", {}),
    ],
)
def test_a_multipart_form_has_its_fields(body: str, fields: dict[str, list[str]]) -> None:
    assert multipart(body.encode(), TYPE) == fields
    assert multipart(body.encode(), "multipart/form-data; boundary=B; x=y") == fields


def test_without_a_boundary_there_is_nothing() -> None:
    assert multipart(part("a", "1").encode(), "multipart/form-data") == {}
