from typing import Any

from control.model.consumer import Consumer
from control.model.credential import Credential
from userspace.plugins.consumers import Consumers


def consumer(name: str, **plugins: Any) -> Consumer:
    return Consumer(name, plugins={key.replace("_", "-"): value for key, value in plugins.items()})


def test_a_consumer_is_known_by_what_its_plugins_say() -> None:
    known = Consumers()
    jack = consumer("jack", key_auth={"key": "k1"}, basic_auth={"username": "j", "password": "p"})
    known.set_consumer("jack", None, jack)
    found = known.find("key-auth", "k1")
    assert found is not None and (found.consumer, found.conf, found.credential) == (jack, {"key": "k1"}, None)
    assert known.find("basic-auth", "j") is not None
    assert known.find("basic-auth", "k1") is None and known.find("key-auth", "j") is None
    assert known.named("jack") is jack and known.named("jill") is None


def test_a_changed_or_deleted_consumer_is_known_by_its_old_key_no_more() -> None:
    known = Consumers()
    old, new = consumer("jack", key_auth={"key": "k1"}), consumer("jack", key_auth={"key": "k2"})
    known.set_consumer("jack", None, old)
    known.set_consumer("jack", old, new)
    assert known.find("key-auth", "k1") is None and known.find("key-auth", "k2") is not None
    known.set_consumer("jack", new, None)
    assert known.find("key-auth", "k2") is None and known.named("jack") is None
    assert not known._by_identity and not known._by_name


def test_a_credential_knows_its_consumer_whichever_came_first() -> None:
    known = Consumers()
    credential = Credential("jack", "c1", {"key-auth": {"key": "k"}})
    known.set_credential(None, credential)
    assert known.find("key-auth", "k") is None
    known.set_consumer("jack", None, consumer("jack"))
    found = known.find("key-auth", "k")
    assert found is not None and (found.consumer.username, found.credential) == ("jack", "c1")
    known.set_credential(credential, None)
    assert known.find("key-auth", "k") is None


def test_a_disabled_way_does_not_count() -> None:
    known = Consumers()
    known.set_consumer("jack", None, consumer("jack", key_auth={"key": "k", "_meta": {"disable": True}}))
    assert known.find("key-auth", "k") is None


def test_a_key_that_moves_between_two_consumers_in_either_order_stays_known() -> None:
    for first in ("old", "new"):
        known = Consumers()
        jack, jill = consumer("jack", key_auth={"key": "k"}), consumer("jill", key_auth={"key": "k"})
        known.set_consumer("jack", None, jack)
        if first == "new":
            known.set_consumer("jill", None, jill)
            known.set_consumer("jack", jack, consumer("jack"))
        else:
            known.set_consumer("jack", jack, consumer("jack"))
            known.set_consumer("jill", None, jill)
        found = known.find("key-auth", "k")
        assert found is not None and found.consumer is jill


def test_a_reference_that_leads_nowhere_lets_nobody_in() -> None:
    known = Consumers()
    for reference in ("$env://UNILB_NOT_SET", "$ENV://UNILB_NOT_SET", "$secret://vault/1/key"):
        known.set_consumer("jack", None, consumer("jack", key_auth={"key": reference}))
        known.set_consumer("jill", None, consumer("jill", basic_auth={"username": "jill", "password": reference}))
        assert known.find("key-auth", reference) is None and known.find("basic-auth", "jill") is None
