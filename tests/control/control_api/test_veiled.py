import orjson

from control.control_api.veiled import Veiled
from control.store.base import Put, Store

KEY = "/apisix/routes/1"
DOC = {"uri": "/", "plugins": {"basic-auth": {}}, "upstream": {"nodes": {}, "tls": {"client_key": "a secret"}}}


async def test_secrets_are_shown_as_nobody_can_read_them(store: Store) -> None:
    await store.txn([], [Put(KEY, orjson.dumps(DOC)), Put("/apisix/routes/2", b'{"uri":"/"}')])
    veiled = Veiled(store)
    entry = await veiled.get(KEY)
    assert entry is not None and b"a secret" not in entry.value
    assert orjson.loads(entry.value)["uri"] == "/"
    entries, _ = await veiled.range("/apisix/routes/")
    assert [entry.key for entry in entries] == [KEY, "/apisix/routes/2"]
    assert b"a secret" not in entries[0].value and entries[1].value == b'{"uri":"/"}'
    assert await veiled.get("/apisix/routes/3") is None


async def test_the_same_secret_looks_different_each_time_the_process_starts(store: Store) -> None:
    await store.txn([], [Put(KEY, orjson.dumps(DOC))])
    one, other = await Veiled(store).get(KEY), await Veiled(store).get(KEY)
    assert one is not None and other is not None and one.value != other.value
