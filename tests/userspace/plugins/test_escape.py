from userspace.plugins.escape import escape_path, split_escaped


def test_what_would_end_a_path_or_is_no_ascii_is_escaped() -> None:
    assert escape_path("/a b/?#%\r\n\x7f") == b"/a%20b/%3F%23%25%0D%0A%7F"
    assert escape_path("/协\udcff") == b"/%E5%8D%8F%FF"
    assert escape_path("/a+b&c=d;e\"<>'~") == b"/a+b&c=d;e\"<>'~"


def test_only_what_stands_before_the_first_question_mark_is_escaped() -> None:
    assert split_escaped("/a b?c d?e") == (b"/a%20b", b"c d?e")
    assert split_escaped("/a b") == (b"/a%20b", None)
    assert split_escaped("/a?") == (b"/a", b"")
