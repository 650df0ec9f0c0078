import pytest

from userspace.balancer.hash_key import compile_key


class Variables:
    def __init__(self, **values: str) -> None:
        self.values = {"remote_addr": "192.0.2.1", **values}

    def var(self, name: str) -> str | None:
        return self.values.get(name)


@pytest.mark.parametrize(
    ("hash_on", "key", "values", "expected"),
    [
        ("vars", "arg_device", {"arg_device": "7"}, "7"),
        ("vars", "arg_device", {"arg_device": ""}, ""),
        ("vars", "remote_addr", {}, "192.0.2.1"),
        ("vars", "arg_device", {}, "192.0.2.1"),
        ("header", "X-User", {"http_X-User": "u"}, "u"),
        ("header", "X-User", {"X-User": "u"}, "192.0.2.1"),
        ("cookie", "sid", {"cookie_sid": "s"}, "s"),
        ("consumer", "", {"consumer_name": "jack"}, "jack"),
        ("consumer", "ignored", {"ignored": "x"}, "192.0.2.1"),
        ("vars_combinations", "$a$b", {"a": "1", "b": "2"}, "12"),
        ("vars_combinations", "${a}_x-$b!", {"a": "1", "b": "2"}, "1_x-2!"),
        ("vars_combinations", "$a:$b", {"b": "2"}, ":2"),
        ("vars_combinations", "$a$b", {}, "192.0.2.1"),
        ("vars_combinations", "plain", {}, "192.0.2.1"),
        ("vars_combinations", r"\$a$b", {"a": "1", "b": "2"}, r"\$a2"),
    ],
)
def test_the_key_of_a_request(hash_on: str, key: str, values: dict[str, str], expected: str) -> None:
    assert compile_key(hash_on, key)(Variables(**values)) == expected
