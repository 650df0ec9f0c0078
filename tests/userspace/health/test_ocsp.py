from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from control.model.ssl import Ssl
from tests.control.certificates import authority
from tests.userspace.health.responder import HOUR, NOW, answer, delegate, site
from userspace.health.ocsp import OcspError, good_until, question_about

SITE = site()


def with_chain(pem: str) -> Ssl:
    return replace(SITE, pairs=((pem, ""),))


def test_the_question_is_about_the_certificate_and_goes_where_it_says() -> None:
    asked = question_about(site("http://ocsp.example/a"))
    assert asked.url == "http://ocsp.example/a"
    assert ocsp.load_der_ocsp_request(asked.request).serial_number == asked.serial


@pytest.mark.parametrize(
    ("about", "why"),
    [
        (site("ldap://ocsp.example/"), "no responder that is reached by http"),
        (
            replace(SITE, pairs=((authority().sign("a.example")[0] + authority().certificate, ""),)),
            "names no responder",
        ),
        (replace(SITE, pairs=((SITE.pairs[0][0].partition("-----END")[0] + "-----END CERTIFICATE-----", ""),)), "."),
    ],
)
def test_a_certificate_that_nobody_can_be_asked_about_is_named(about: Ssl, why: str) -> None:
    with pytest.raises(OcspError, match=why):
        question_about(about)


def test_a_chain_without_its_issuer_is_named() -> None:
    leaf = SITE.pairs[0][0].split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    with pytest.raises(OcspError, match="issuer is not in the chain"):
        question_about(with_chain(leaf))


def test_a_good_answer_counts_until_the_next_is_due() -> None:
    asked = question_about(SITE)
    assert good_until(asked, answer(SITE), NOW) == NOW + HOUR
    assert good_until(asked, answer(SITE, signer=delegate()), NOW) == NOW + HOUR


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"status": ocsp.OCSPCertStatus.REVOKED}, "REVOKED"),
        ({"status": ocsp.OCSPCertStatus.UNKNOWN}, "UNKNOWN"),
        ({"begin": NOW - 2 * HOUR, "end": NOW}, "not current"),
        ({"begin": NOW + HOUR / 2}, "not current"),
        ({"end": None}, "not current"),
        ({"about": site()}, "another certificate"),
        ({"by": authority("other")}, "not signed by the issuer"),
        ({"signer": delegate(ExtendedKeyUsageOID.SERVER_AUTH)}, "not one for OCSP"),
    ],
)
def test_an_answer_that_must_not_be_stapled_is_named(given: dict[str, Any], why: str) -> None:
    given = {"about": SITE, **given}
    with pytest.raises(OcspError, match=why):
        good_until(question_about(SITE), answer(given.pop("about"), **given), NOW)


def test_a_signature_is_not_looked_at_where_the_tenant_says_so() -> None:
    assert good_until(question_about(SITE), answer(SITE, by=authority("other")), NOW, verify=False) == NOW + HOUR


@pytest.mark.parametrize("data", [b"", b"<html>", answer(SITE)[:-20]])
def test_bytes_that_are_no_answer_are_named(data: bytes) -> None:
    with pytest.raises(OcspError, match="no OCSP response"):
        good_until(question_about(SITE), data, NOW)


def test_a_responder_that_refuses_is_named() -> None:
    refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    with pytest.raises(OcspError, match="TRY_LATER"):
        good_until(question_about(SITE), refusal.public_bytes(Encoding.DER), NOW)
