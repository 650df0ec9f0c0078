"""Secrets at rest: which fields of an object are stored encrypted, and how.

AES-CBC with PKCS#7 padding, in base64; the key is also the initialization vector, as APISIX has it, so equal secrets
are equal in the store. An APISIX gateway with the same keyring reads what is written here.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from control.model.keys import kind_of
from control.model.plugin import Kind
from control.model.plugins import PLUGINS

# APISIX's own: known to everybody, so it protects nothing by itself.
DEFAULT_KEYRING = ("qeddd145sfvddff3", "edd1c9f0985e76a2")

Doc = dict[str, Any]
_Change = Callable[[str], str]

# A value that begins so names a secret that is kept elsewhere: there is nothing in it to hide.
REFERENCES = ("$secret://", "$env://")

_BLOCK = 16
_SSL_FIELDS = ("key", "keys")
_TLS_FIELDS = ("tls.client_key",)
_WITH_UPSTREAM = ("route", "service", "stream_route")
# What every object with a secret contains: the others are not even decoded.
_MARKS = (b'"plugins"', b'"client_key"', b'"key"', b'"keys"')
_METADATA = "/apisix/plugin_metadata/"


class Keyring:
    """The first key encrypts; all are tried to decrypt. No key: everything stays as it is."""

    def __init__(self, keys: Sequence[str] = DEFAULT_KEYRING) -> None:
        """Raises ValueError unless every key has 16 or 32 bytes."""
        self._keys = tuple(key.encode() for key in keys)
        for key in self._keys:
            if len(key) not in (16, 32):
                raise ValueError(f"keyring: a key has 16 or 32 bytes, not {len(key)}")

    def __repr__(self) -> str:
        return f"Keyring({len(self._keys)} keys)"

    def encrypt(self, text: str) -> str:
        """`text` as it is stored."""
        if not self._keys:
            return text
        padder = PKCS7(8 * _BLOCK).padder()
        padded = padder.update(text.encode()) + padder.finalize()
        encryptor = _cipher(self._keys[0]).encryptor()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def decrypt(self, stored: str) -> str:
        """The inverse; `stored` itself when no key fits, for what was stored in the clear."""
        try:
            raw = base64.b64decode(stored, validate=True)
        except (binascii.Error, ValueError):
            return stored
        for key in self._keys if raw and len(raw) % _BLOCK == 0 else ():
            decryptor = _cipher(key).decryptor()
            unpadder = PKCS7(8 * _BLOCK).unpadder()
            try:
                padded = decryptor.update(raw) + decryptor.finalize()
                return (unpadder.update(padded) + unpadder.finalize()).decode()
            except ValueError:
                continue
        return stored

    def seal(self, key: str, doc: Doc) -> Doc:
        """The object of the store's key `key` with its secrets encrypted. `doc` is valid and stays as it is."""
        return _change(key, doc, self.encrypt) if self._keys else doc

    def open(self, key: str, doc: Doc) -> Doc:
        """The inverse of `seal`."""
        return _change(key, doc, self.decrypt) if self._keys else doc

    def open_value(self, key: str, value: bytes) -> bytes:
        """A value of the store with its secrets in the clear; the very same bytes where there are none."""
        doc = document_with_secrets(key, value) if self._keys else None
        if doc is None:
            return value
        opened = self.open(key, doc)
        return value if opened == doc else orjson.dumps(opened)


def parse_keyring(text: str | None) -> Keyring:
    """The keys in "KEY,KEY"; "" is none at all, None is APISIX's. Raises ValueError."""
    return Keyring(DEFAULT_KEYRING if text is None else [key for key in text.split(",") if key])


def document_with_secrets(key: str, value: bytes) -> Doc | None:
    """The object of a key and value of the store, if it may hold secrets."""
    if not key.startswith("/apisix/") or not (key.startswith(_METADATA) or any(mark in value for mark in _MARKS)):
        return None
    try:
        doc = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return doc if isinstance(doc, dict) else None


def _cipher(key: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(key), modes.CBC(key[:_BLOCK]))


def _change(key: str, doc: Doc, change: _Change) -> Doc:
    kind, id = kind_of(key) or ("", "")
    if kind == "ssl":
        return _at_paths(doc, _SSL_FIELDS, lambda text: text if text.startswith(REFERENCES) else change(text))
    if kind == "upstream":
        return _at_paths(doc, _TLS_FIELDS, change)
    if kind == "plugin_metadata":
        return _at_paths(doc, _encrypted(id, "metadata"), change)
    if kind in _WITH_UPSTREAM and isinstance(doc.get("upstream"), dict):
        doc = {**doc, "upstream": _at_paths(doc["upstream"], _TLS_FIELDS, change)}
    plugins = doc.get("plugins")
    if not kind or not isinstance(plugins, dict):
        return doc
    place: Kind = "consumer" if kind in ("consumer", "credential") else "route"
    changed = {
        name: _at_paths(conf, paths, change)
        for name, conf in plugins.items()
        if isinstance(conf, dict) and (paths := _encrypted(name, place))
    }
    return {**doc, "plugins": {**plugins, **changed}} if changed else doc


def _encrypted(name: str, place: Kind) -> Sequence[str]:
    plugin = PLUGINS.get(name)
    if plugin is None:
        return ()
    default = {} if place == "metadata" else plugin.schemas.get("route", {})
    paths: Sequence[str] = plugin.schemas.get(place, default).get("encrypt_fields", ())
    return paths


def _at_paths(doc: Doc, paths: Sequence[str], change: _Change) -> Doc:
    for path in paths:
        doc = _at(doc, path.split("."), change)
    return doc


def _at(value: Any, path: Sequence[str], change: _Change) -> Any:
    """Every string at or below `path`, changed; lists on the way stand for all of their items."""
    if isinstance(value, list):
        return [_at(item, path, change) for item in value]
    if isinstance(value, dict):
        if path:
            return {**value, path[0]: _at(value[path[0]], path[1:], change)} if path[0] in value else value
        return {name: _at(item, path, change) for name, item in value.items()}
    return change(value) if isinstance(value, str) and not path else value
