import pytest

from userspace.net import Networks, address_of_mapped, join_host_port, mapped_bytes, plain_address, split_host_port


@pytest.mark.parametrize(
    ("text", "parts"),
    [("10.0.0.1:80", ("10.0.0.1", 80)), ("a.example:65535", ("a.example", 65535)), ("[fd00::1]:1", ("fd00::1", 1))],
)
def test_host_and_port_are_split_and_joined(text: str, parts: tuple[str, int]) -> None:
    assert split_host_port(text) == parts
    assert join_host_port(*parts) == text


def test_a_port_may_have_a_default() -> None:
    assert split_host_port("a", 2379) == ("a", 2379)
    assert split_host_port("[::1]", 2379) == ("::1", 2379)
    assert split_host_port("a:1", 2379) == ("a", 1)


@pytest.mark.parametrize(
    "text", ["", "a", ":80", "a:", "a:0", "a:65536", "a:+1", "a:8 0", "a:٣", "::1:80", "[::1", "[a]:1", "[::1]x"]
)
def test_what_is_no_host_and_port_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="has no|is not|brackets") as refused:
        split_host_port(text)
    assert repr(text) in str(refused.value)


def test_addresses_take_16_bytes_in_network_order() -> None:
    assert mapped_bytes("10.1.2.3") == bytes(10) + b"\xff\xff\x0a\x01\x02\x03"
    assert mapped_bytes("::1") == bytes(15) + b"\x01"
    for address in ("10.1.2.3", "::1", "2001:db8::ff00:1"):
        assert address_of_mapped(mapped_bytes(address)) == address
    with pytest.raises(ValueError, match="16 bytes, not 4"):
        address_of_mapped(b"\x0a\x01\x02\x03")


def test_a_peer_is_named_the_same_on_any_socket() -> None:
    assert plain_address("::ffff:10.1.2.3") == plain_address("10.1.2.3") == "10.1.2.3"
    assert plain_address("fe80::1%eth0") == "fe80::1"


def test_networks_contain_addresses_of_their_family() -> None:
    networks = Networks(["10.0.0.0/8", "fd00::/8", "192.0.2.1"])
    assert networks and not Networks([])
    for inside in ("10.255.0.1", "fd00::5", "192.0.2.1"):
        assert inside in networks
        assert inside in networks
    for outside in ("11.0.0.1", "fe80::1", "192.0.2.2", "::a00:1", "", "nobody"):
        assert outside not in networks


def test_networks_may_have_host_bits_set_where_that_is_said() -> None:
    with pytest.raises(ValueError):
        Networks(["10.0.0.1/8"])
    assert "10.9.9.9" in Networks(["10.0.0.1/8"], strict=False)


def test_a_look_up_takes_a_step_per_prefix_length_not_per_network() -> None:
    networks = Networks(f"10.{a}.{b}.0/24" for a in range(100) for b in range(100))
    assert len(networks._prefixes) == 1
    assert "10.99.99.1" in networks and "10.100.0.1" not in networks
