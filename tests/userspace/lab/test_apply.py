"""userspace/lab/apply.py: steps to commands, and commands that fail."""

import subprocess

import pytest

from userspace.lab.apply import LabError, apply, batches, in_lab, in_machine
from userspace.lab.exec import run
from userspace.lab.lab import Lab
from userspace.lab.plan import Step

STEPS = [
    Step("host1", "sysctl", "a = 1"),
    Step("host1", "ip", "link set lo up"),
    Step("host1", "ip", "link set eth0 up"),
    Step("host1", "netns", "netns add lab-blue1", creates="lab-blue1"),
    Step("host1", "ip", "link set lo up", vm="blue1"),
    Step("host1", "bridge", "fdb show"),
    Step("router", "nft", "list ruleset"),
    Step("router", "ethtool", "-K l4 tx off"),
]


def test_neighbouring_lines_go_to_one_process() -> None:
    found = [(batch.tool, batch.netns, len(batch.lines)) for batch, _ in batches(STEPS, in_lab("lab"))]
    assert found == [
        ("sysctl", "lab-host1", 1),
        ("ip", "lab-host1", 2),
        ("netns", None, 1),
        ("ip", "lab-blue1", 1),
        ("bridge", "lab-host1", 1),
        ("nft", "lab-router", 1),
        ("ethtool", "lab-router", 1),
    ]


def test_on_a_real_machine_only_its_vms_are_entered() -> None:
    assert [batch.netns for batch, _ in batches(STEPS[:6], in_machine("lab"))] == [None, None, None, "lab-blue1", None]


def test_each_tool_is_entered_in_its_own_way() -> None:
    argv = {batch.tool: batch.argv for batch, _ in batches(STEPS, in_lab("lab")) if batch.netns != "lab-blue1"}
    assert argv == {
        "sysctl": ["nsenter", "--net=/run/netns/lab-host1", "sysctl", "-q", "-p", "-"],
        "ip": ["ip", "-n", "lab-host1", "-batch", "-"],
        "netns": ["ip", "-batch", "-"],
        "bridge": ["bridge", "-n", "lab-host1", "-batch", "-"],
        "nft": ["nsenter", "--net=/run/netns/lab-router", "nft", "-f", "-"],
        "ethtool": ["nsenter", "--net=/run/netns/lab-router", "xargs", "-L1", "ethtool"],
    }


def test_the_script_of_a_batch_is_what_a_shell_runs() -> None:
    echo = "\n".join(batch.script() for batch, _ in batches(STEPS[1:3], in_machine("lab"))).replace(
        "ip -batch -", "cat"
    )
    assert (
        subprocess.run(["sh"], input=echo, capture_output=True, text=True).stdout
        == "link set lo up\nlink set eth0 up\n"
    )


@pytest.mark.netns
def test_a_failure_tells_the_tool_the_place_and_the_line(fabric: Lab) -> None:
    with pytest.raises(LabError) as failed:
        apply([Step("gw1", "ip", "link set lo up"), Step("gw1", "ip", "link set eth9 up")], in_lab(fabric.name))
    assert 'Cannot find device "eth9"' in str(failed.value)
    assert f"{fabric.name}-gw1" in str(failed.value)
    assert "2  link set eth9 up" in str(failed.value)


@pytest.mark.netns
def test_what_is_there_is_not_made_again(fabric: Lab) -> None:
    made = [Step("web1", "ip", "link add twice type bridge", creates="twice")]
    apply(made, in_lab(fabric.name))
    apply(made, in_lab(fabric.name))
    assert "twice" in run(fabric, "web1", ["ls", "/sys/class/net"]).stdout
