"""What a finished handshake tells of its peer: the variables `ssl_*` come from here."""

import ssl

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding

from userspace.http.request import Tls
from userspace.proxy import openssl

_DATE = "%b %e %H:%M:%S %Y GMT"


def facts(connection: ssl.SSLObject, server_name: str, asks_client: bool) -> Tls:
    """Return what is known of a connection that a client opened for `server_name`; of its certificate only where the
    server asked for one."""
    cipher = connection.cipher()
    known = Tls(
        server_name,
        (connection.version() or "").replace("TLSv1.0", "TLSv1"),
        cipher[0] if cipher is not None else "",
        openssl.session_id(connection).hex(),
        alpn=connection.selected_alpn_protocol() or "",
        resumed=bool(connection.session_reused),
    )
    shown = connection.getpeercert(True) if asks_client else None
    return known if shown is None else _with_certificate(known, shown, openssl.verify_failure(connection))


def _with_certificate(known: Tls, shown: bytes, failure: str) -> Tls:
    """As nginx words it: names by RFC 2253, the serial number in capitals, the fingerprint SHA-1."""
    known = known._replace(client_verify=f"FAILED:{failure}" if failure else "SUCCESS")
    try:
        certificate = x509.load_der_x509_certificate(shown)
        serial = f"{certificate.serial_number:X}"
        return known._replace(
            client_subject=certificate.subject.rfc4514_string(),
            client_issuer=certificate.issuer.rfc4514_string(),
            client_serial=serial if len(serial) % 2 == 0 else "0" + serial,
            client_fingerprint=certificate.fingerprint(SHA1()).hex(),
            client_cert=certificate.public_bytes(Encoding.PEM).decode("ascii"),
            client_begin=certificate.not_valid_before_utc.strftime(_DATE),
            client_end=certificate.not_valid_after_utc.strftime(_DATE),
        )
    except ValueError:
        return known  # OpenSSL takes what the stricter parser does not
