"""The command line of `unilb node`."""

import argparse
from dataclasses import replace

import pytest

from control.model.node import Node
from userspace.config.settings import SettingsError
from userspace.node import options


def parsed(*arguments: str) -> argparse.Namespace:
    top = argparse.ArgumentParser()
    options.add_parser(top.add_subparsers(), lambda _args: 0)
    return top.parse_args(["node", *arguments])


def test_defaults() -> None:
    settings = options.node_settings(parsed("--id", "gw1", "--store", "etcd://h"))
    assert (settings.listen, settings.workers, settings.user) == ((("0.0.0.0", 80),), 1, "nobody")
    assert settings.forwarding is not None
    assert settings.forwarding.sizes.flows == 131072


def test_workers_stand_in_the_zone_of_their_node_unless_told_otherwise() -> None:
    settings = options.node_settings(parsed("--id", "gw1", "--store", "etcd://h"))
    me = Node("gw1", "gateway", "a", "10.1.0.11", ())
    assert settings.worker_of(None).zone == ""
    assert settings.worker_of(me).zone == "a"
    told = replace(settings, worker=replace(settings.worker, zone="b"))
    assert told.worker_of(me).zone == "b"


def test_a_session_takes_two_flows() -> None:
    settings = options.node_settings(parsed("--id", "gw1", "--store", "etcd://h", "--max-sessions", "10"))
    assert settings.forwarding is not None and settings.forwarding.sizes.flows == 20


def test_splices_have_a_number_and_an_age() -> None:
    settings = options.node_settings(
        parsed("--id", "gw1", "--store", "etcd://h", "--max-splices", "10", "--max-splice-age", "60")
    )
    assert settings.forwarding is not None
    assert (settings.forwarding.sizes.splices, settings.forwarding.splice_age) == (10, 60)
    with pytest.raises(SystemExit):
        options.node_settings(parsed("--id", "gw1", "--store", "etcd://h", "--max-splices", "1"))


@pytest.mark.parametrize(
    ("text", "address"),
    [("1.2.3.4:5", ("1.2.3.4", 5)), (":80", ("0.0.0.0", 80)), ("[::1]:80", ("::1", 80))],
)
def test_address(text: str, address: tuple[str, int]) -> None:
    assert options.address(text) == address


@pytest.mark.parametrize("text", ["", "80", "1.2.3.4", "1.2.3.4:", "1.2.3.4:http", "1.2.3.4:65536", "h:-1"])
def test_bad_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        options.address(text)


def test_worker_settings_are_named_when_wrong() -> None:
    assert options.worker_settings(["max_connections=7"], "off").max_connections == 7
    assert options.worker_settings(['trusted_addresses=["::1"]'], "off").trusted_addresses == ("::1",)
    assert options.worker_settings(["router=radixtree_uri"], "off").router == "radixtree_uri"
    assert options.worker_settings(["delete_uri_tail_slash=true"], "off").delete_uri_tail_slash
    with pytest.raises(SettingsError, match="unknown setting speed"):
        options.worker_settings(["speed=1"], "off")
    with pytest.raises(SettingsError, match="'x' is not NAME=VALUE"):
        options.worker_settings(["x"], "off")


def test_a_wrong_option_ends_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.node_settings(parsed("--id", "gw1"))
    assert "--id and --store are needed" in capsys.readouterr().err
