"""vagrant/Vagrantfile: accepted by Vagrant, and true to topology.yaml."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from userspace.lab import topology

VAGRANT = topology.DEFAULT_PATH.parent

# Stands in for Vagrant and writes down what the file asks of it.
RECORDER = """
require "json"
MACHINES = {"all" => []}
class Recorder < BasicObject
  def initialize(calls) = @calls = calls
  def method_missing(name, *args, **options, &block)
    calls = name == :define ? (::MACHINES[args[0]] = []) : @calls
    @calls << [name, args, options]
    recorder = ::Recorder.new(calls)
    block&.call(recorder)
    recorder
  end
end
module Vagrant
  def self.configure(_) = yield(Recorder.new(MACHINES["all"]))
end
load ARGV[0]
puts JSON.generate(MACHINES)
"""


@pytest.fixture(scope="module")
def asked() -> dict[str, list[list[Any]]]:
    """Machine -> calls, each [name, positional arguments, options]."""
    done = subprocess.run(["ruby", "-e", RECORDER, str(VAGRANT / "Vagrantfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[list[Any]]] = json.loads(done.stdout)
    return found


def test_vagrant_accepts_the_file(tmp_path: Path) -> None:
    # --ignore-provider: without it `validate` wants VirtualBox or libvirt installed, which this machine need not have.
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=VAGRANT,
        env={**os.environ, "VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_DOTFILE_PATH": str(tmp_path / "dot")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Vagrantfile validated successfully." in done.stdout


def test_there_is_a_virtual_machine_for_each_machine_in_order(asked: dict[str, list[list[Any]]]) -> None:
    assert [name for name in asked if name != "all"] == list(topology.load().machines)


def test_each_has_its_addresses_in_its_segments(asked: dict[str, list[list[Any]]]) -> None:
    for machine in topology.load().machines.values():
        networks = [options for name, args, options in asked[machine.name] if name == "network"]
        assert [(n["ip"], n["netmask"], n["virtualbox__intnet"]) for n in networks] == [
            (str(address), "255.255.255.0", f"unilb-{segment}") for segment, address in machine.addresses.items()
        ]
        assert [n["libvirt__network_name"] for n in networks] == [n["virtualbox__intnet"] for n in networks]


def test_each_takes_its_role_at_every_boot(asked: dict[str, list[list[Any]]]) -> None:
    for name in topology.load().machines:
        packages, role = (call for call in asked[name] if call[0] == "provision")
        assert packages[1:] == [["packages"], {"type": "shell", "path": "provision/packages.sh"}]
        assert role[1:] == [["role"], {"type": "shell", "path": "provision/role.sh", "args": [name], "run": "always"}]


@pytest.mark.parametrize("script", sorted((VAGRANT / "provision").iterdir()), ids=lambda path: path.name)
def test_a_provisioning_script_is_executable_and_parses(script: Path) -> None:
    assert script.stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True).returncode == 0
