import pytest

from userspace.config.settings import Settings, SettingsError
from userspace.http.limits import Limits


def test_the_defaults_are_valid_and_survive_json() -> None:
    assert Settings.from_json({}) == Settings()
    assert Settings.from_json(Settings().to_json()) == Settings()


def test_what_is_given_is_taken_and_the_rest_keeps_its_default() -> None:
    settings = Settings.from_json(
        {
            "max_connections": 5,
            "idle_timeout": 1,
            "access_log": "off",
            "trusted_addresses": ["10.0.0.0/8", "::1"],
            "response_limits": {"max_headers": 7},
        }
    )
    assert (settings.max_connections, settings.idle_timeout, settings.access_log) == (5, 1, "off")
    assert settings.trusted_addresses == ("10.0.0.0/8", "::1")
    assert settings.response_limits == Limits(max_head_bytes=65536, max_headers=7)
    assert settings.request_limits == Limits()
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("doc", "why"),
    [
        ([], "settings must be an object"),
        ({"max_conections": 1}, "unknown setting max_conections"),
        ({"max_connections": 0}, "max_connections must be between 1 and"),
        ({"max_connections": 1.5}, "max_connections must be an integer"),
        ({"max_connections": True}, "max_connections must be an integer"),
        ({"max_connections": "1"}, "max_connections must be an integer"),
        ({"idle_timeout": "1"}, "idle_timeout must be a number"),
        ({"idle_timeout": 0}, "idle_timeout must be between"),
        ({"idle_timeout": float("nan")}, "idle_timeout must be between"),
        ({"write_buffer_low": 70000}, "write_buffer_low must be at most write_buffer_high"),
        ({"access_log": ""}, "access_log must be"),
        ({"zone": None}, "zone must be a string"),
        ({"trusted_addresses": "10.0.0.0/8"}, "trusted_addresses must be a list"),
        ({"trusted_addresses": ["10.0.0.1/8"]}, "trusted_addresses: 10.0.0.1/8"),
        ({"real_ip_header": "X: y"}, "real_ip_header must be the name of a header"),
        ({"real_ip_from": ["nobody"]}, "real_ip_from: 'nobody'"),
        ({"router": "radixtree"}, "router must be one of radixtree_host_uri, radixtree_uri, radixtree_uri_with"),
        ({"splice": "on"}, "splice must be one of auto, off, opaque"),
        ({"splice_after": 0}, "splice_after must be between 1 and"),
        ({"router": ["radixtree_uri"]}, "router must be one of"),
        ({"delete_uri_tail_slash": 1}, "delete_uri_tail_slash must be true or false"),
        ({"request_limits": 5}, "request_limits must be an object"),
        ({"request_limits": {"max": 5}}, "unknown setting request_limits.max"),
        ({"request_limits": {"max_headers": 0}}, "request_limits.max_headers must be at least 1"),
        ({"request_limits": {"max_headers": "7"}}, "request_limits.max_headers must be an integer"),
    ],
)
def test_a_bad_setting_is_named(doc: object, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_json(doc)
    assert why in str(refused.value)
