from userspace.plugins.secret_references import with_secrets

ENVIRON = {"KEY": "k1", "ALL": '{"a": "k2", "n": 1}', "BAD": "{"}


def test_references_are_replaced_wherever_they_stand() -> None:
    conf = {"key": "$env://KEY", "list": ["x", {"y": "$ENV://ALL/a"}], "n": 1}
    assert with_secrets(conf, ENVIRON) == {"key": "k1", "list": ["x", {"y": "k2"}], "n": 1}


def test_what_names_nothing_stays_as_it_is() -> None:
    names = ("$env://NONE", "$env://ALL/b", "$env://ALL/n", "$env://BAD/a", "$secret://vault/1/x/y", "env://KEY")
    conf = {"all": list(names)}
    assert with_secrets(conf, ENVIRON) == {"all": list(names)}


def test_a_configuration_without_references_is_not_copied() -> None:
    conf = {"a": ["x"], "b": {"c": "y"}}
    assert with_secrets(conf, ENVIRON) is conf
