"""Certificates and keys."""

import pytest

from control.model.errors import ModelError
from control.model.pem import check_client_tls, check_pair
from tests.control.certificates import pair

CERT, KEY = pair("a.example")
OTHER_CERT, OTHER_KEY = pair("b.example")


def test_the_key_is_the_first_certificates() -> None:
    check_pair(CERT, KEY)
    check_pair(CERT + OTHER_CERT, KEY)
    check_pair(CERT, None)
    with pytest.raises(ModelError, match="failed to parse key: it is not the certificate's"):
        check_pair(OTHER_CERT + CERT, KEY)


@pytest.mark.parametrize("key", ["4y+JvURBE6ZwRbbgaryrhg==", "$secret://vault/1/key"])
def test_a_key_that_cannot_be_read_here_passes(key: str) -> None:
    check_pair(CERT, key)


def test_an_upstreams_client_certificate_is_looked_at() -> None:
    check_client_tls({})
    check_client_tls({"tls": {"client_cert_id": 1}})
    check_client_tls({"tls": {"client_cert": CERT, "client_key": KEY}})
    with pytest.raises(ModelError):
        check_client_tls({"tls": {"client_cert": CERT, "client_key": OTHER_KEY}})
