import ssl
from collections.abc import Iterator

import pytest

from control.model.ssl import Ssl
from control.model.tickets import TicketKeys
from tests.control.certificates import pair
from tests.userspace.proxy.tls_stage import site
from userspace.proxy import tls_contexts
from userspace.proxy.tls_contexts import ContextError, ServerContexts, load_pair, ticket_key


def certificate(id: str = "1", **more: object) -> Ssl:
    return Ssl.from_json({"id": id, **site(f"{id}.example", **more)})


def test_a_context_is_built_once_and_again_when_its_object_is_another() -> None:
    contexts = ServerContexts()
    first = certificate()
    assert contexts.of(first) is contexts.of(first)
    assert contexts.of(certificate()) is not contexts.of(first)


def test_the_one_longest_unused_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_contexts, "MAX_CONTEXTS", 2)
    contexts = ServerContexts()
    one, two, three = (certificate(id) for id in "123")
    kept, dropped = contexts.of(one), contexts.of(two)
    contexts.of(one)
    contexts.of(three)
    assert contexts.of(one) is kept
    assert contexts.of(two) is not dropped


def test_a_sweep_forgets_what_the_configuration_has_no_more() -> None:
    contexts = ServerContexts()
    old, kept = certificate("1"), certificate("2")
    before = contexts.of(old), contexts.of(kept)
    contexts.sweep({"1": certificate("1"), "2": kept}.get)
    assert contexts.of(kept) is before[1]
    assert contexts.of(old) is not before[0]


def test_ciphers_are_mozillas_unless_the_operator_names_some() -> None:
    def names(context: ssl.SSLContext) -> set[str]:
        return {cipher["name"] for cipher in context.get_ciphers() if not cipher["name"].startswith("TLS_")}

    assert names(ServerContexts().of(certificate())) == set(tls_contexts.CIPHERS.split(":"))
    chosen = ServerContexts(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
    assert names(chosen.of(certificate())) == {"ECDHE-ECDSA-AES256-GCM-SHA384"}


def test_a_key_that_is_not_the_certificates_makes_no_context() -> None:
    other = Ssl("1", ((pair("a.example")[0], pair("b.example")[1]),), names=("a.example",))
    with pytest.raises(ContextError, match="ssl 1: KEY_VALUES_MISMATCH"):
        ServerContexts().of(other)


def test_a_pair_leaves_no_descriptor_open() -> None:
    def free() -> int:
        import os

        descriptor = os.dup(0)
        os.close(descriptor)
        return descriptor

    before = free()
    with pytest.raises(ssl.SSLError):
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "x", "y")
    load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *pair("a.example"))
    assert free() == before


def test_ticket_keys_differ_by_secret_and_by_identity() -> None:
    made = [ticket_key(secret, identity) for secret in (bytes(32), b"x" * 32) for identity in (b"a", b"b")]
    parts = [part for key in made for part in key]
    assert len(set(parts)) == len(parts)
    assert [len(part) for part in made[0]] == [16, 32, 32]


def test_ticket_keys_follow_the_stores_without_a_new_context() -> None:
    keys: Iterator[TicketKeys | None] = iter([None, None, TicketKeys(bytes(32), 1, b"x" * 32)])
    current = next(keys)
    contexts = ServerContexts(lambda: current)
    find = tls_contexts._Tickets(contexts, b"identity")
    own = find()
    assert len(own) == 1 and find() is own
    current = TicketKeys(bytes(32), 1, b"x" * 32)
    assert find() == (ticket_key(bytes(32), b"identity"), ticket_key(b"x" * 32, b"identity"))
