"""Store URLs."""

from pathlib import Path

import pytest

from control.store.etcd import EtcdStore
from control.store.etcd_gateway import EtcdSettings
from control.store.open import etcd_settings, open_store
from control.store.sqlite import SqliteStore


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("etcd://10.0.0.5:2379", EtcdSettings(("http://10.0.0.5:2379",))),
        ("etcd://a,b:1,[fd00::1]:7", EtcdSettings(("http://a:2379", "http://b:1", "http://[fd00::1]:7"))),
        ("etcds://h", EtcdSettings(("https://h:2379",))),
        ("etcd://u:p%40%3A@h", EtcdSettings(("http://h:2379",), user="u", password="p@:")),
        ("etcd://h?ca=/a.pem", EtcdSettings(("https://h:2379",), ca="/a.pem")),
        (
            "etcd://h/?ca=/a&cert=/c&key=/k&server_name=n",
            EtcdSettings(("https://h:2379",), ca="/a", cert="/c", key="/k", server_name="n"),
        ),
    ],
)
def test_an_etcd_url_is_read(url: str, settings: EtcdSettings) -> None:
    assert etcd_settings(url) == settings


@pytest.mark.parametrize(
    "url",
    [
        *("", "http://h", "etcd://", "etcd://h,,i", "etcd://h:port", "etcd://h/path", "etcd://h?what=1", "etcd://h?x"),
        *("etcd://h?cert=/c", "sqlite://", "sqlite://host/path", "sqlite:///p?x=1", "redis://h"),
    ],
)
def test_a_bad_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        open_store(url)


async def test_each_scheme_opens_its_store(tmp_path: Path) -> None:
    for url, kind in ((f"sqlite://{tmp_path}/a.db", SqliteStore), ("etcd://127.0.0.1:1", EtcdStore)):
        store = open_store(url)
        assert isinstance(store, kind)
        await store.close()
    assert not (tmp_path / "a.db").exists()


async def test_a_sqlite_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:my%20store.db")
    await store.range("/")
    await store.close()
    assert (tmp_path / "my store.db").exists()
