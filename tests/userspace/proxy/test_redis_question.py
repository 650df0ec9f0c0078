"""What a question says to a server."""

from userspace.plugins.counting import Script
from userspace.proxy.redis_question import Question, Sent

SCRIPT = Script.of("return {1}")


def test_a_script_is_named_and_taught_where_it_is_not_known() -> None:
    question = Question(SCRIPT, "k", ("1", "2"), lambda answer: None)
    assert question.by_name == ("EVALSHA", SCRIPT.sha, 1, b"k", "1", "2")
    assert question.by_text == ("EVAL", "return {1}", 1, b"k", "1", "2")


def test_a_key_keeps_the_bytes_that_a_client_sent() -> None:
    question = Question(SCRIPT, b"\xff\xc3\xa9".decode("utf-8", "surrogateescape"), (), lambda answer: None)
    assert question.key == b"\xff\xc3\xa9"


def test_by_itself_it_goes_nowhere_else() -> None:
    assert not Question(SCRIPT, "k", (), lambda answer: None).takes_back(Sent(("::1", 7), False))
    assert str(Sent(("::1", 7), False)) == "the key is at [::1]:7"
