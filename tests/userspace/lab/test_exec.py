"""userspace/lab/exec.py and enter.py: what a command finds inside a machine."""

import signal
import subprocess
from pathlib import Path

import pytest

from userspace.lab.apply import LabError
from userspace.lab.exec import command, connect, open_socket, run, spawn
from userspace.lab.lab import Lab, cgroup2

pytestmark = pytest.mark.netns


def test_a_command_sees_its_machines_interfaces(fabric: Lab) -> None:
    assert run(fabric, "gw1", ["ls", "/sys/class/net"]).stdout.split() == ["eth0", "lo"]
    assert "10.1.0.11/24" in run(fabric, "gw1", ["ip", "-4", "address", "show", "eth0"]).stdout


def test_a_command_runs_in_its_machines_cgroup_and_sees_it(fabric: Lab) -> None:
    assert f"0::/{fabric.name}-lab/gw1" in run(fabric, "gw1", ["cat", "/proc/self/cgroup"]).stdout.splitlines()
    group = cgroup2() / f"{fabric.name}-lab" / "gw1"
    assert run(fabric, "gw1", ["sh", "-c", f"grep -c $$ {group}/cgroup.procs"]).stdout == "1\n"


def test_each_machine_has_a_bpf_file_system_of_its_own(fabric: Lab) -> None:
    assert run(fabric, "gw1", ["stat", "-f", "-c", "%T", "/sys/fs/bpf"]).stdout == "bpf_fs\n"
    create = "bpftool map create /sys/fs/bpf/unilb/m type array key 4 value 4 entries 1 name m"
    run(fabric, "gw1", ["sh", "-c", f"mkdir /sys/fs/bpf/unilb && {create}"])
    assert run(fabric, "gw1", ["ls", "/sys/fs/bpf/unilb"]).stdout == "m\n"
    assert run(fabric, "gw2", ["ls", "/sys/fs/bpf"]).stdout == ""
    assert (fabric.bpffs("gw1") / "unilb" / "m").exists()


def test_a_mount_made_inside_stays_inside(fabric: Lab) -> None:
    run(fabric, "web1", ["mount", "-n", "-t", "tmpfs", "tmpfs", "/mnt"])
    assert " /mnt " not in Path("/proc/self/mounts").read_text()


def test_exit_status_input_and_arguments_are_the_commands_own(fabric: Lab) -> None:
    done = run(
        fabric, "l4", ["sh", "-c", 'cat; echo "$@" >&2; exit 7', "--", "--", "-x", "a b"], stdin="hello", check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "hello", "-- -x a b\n")


@pytest.mark.parametrize(("argv", "status"), [(["no-such-program"], 127), (["/etc/hostname"], 126)])
def test_a_command_that_cannot_start_fails_as_in_a_shell(fabric: Lab, argv: list[str], status: int) -> None:
    done = run(fabric, "l4", argv, check=False)
    assert done.returncode == status
    assert argv[0] in done.stderr


def test_the_process_started_is_the_command_so_signals_reach_it(fabric: Lab) -> None:
    with subprocess.Popen(
        command(fabric, "gw1", ["sh", "-c", "echo $$; exec sleep 1000"]), stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert int(child.stdout.readline()) == child.pid
        child.send_signal(signal.SIGTERM)
        assert child.wait(5) == -signal.SIGTERM


def test_a_broken_pipe_ends_a_command_silently(fabric: Lab) -> None:
    assert run(fabric, "gw1", ["sh", "-c", "yes | head -1"]).stderr == ""


def test_a_machine_that_does_not_exist_is_refused(fabric: Lab) -> None:
    with pytest.raises(LabError, match="no machine 'gw9' in the topology; there are: router, etcd"):
        run(fabric, "gw9", ["true"])


def test_a_machine_that_is_not_built_is_refused(lab: Lab) -> None:
    done = run(lab, "gw1", ["true"], check=False)
    assert done.returncode == 125
    assert "cannot enter the machine" in done.stderr


def test_a_socket_opened_in_a_machine_leaves_the_caller_outside(fabric: Lab) -> None:
    before = Path("/proc/self/ns/net").readlink()
    with open_socket(fabric, "web1") as listener:
        listener.bind(("10.1.0.21", 8080))
        listener.listen()
        with connect(fabric, "client", ("10.1.0.21", 8080)) as sock:
            assert sock.getsockname()[0] == "203.0.113.9"
            accepted, peer = listener.accept()
            accepted.close()
            assert peer[0] == "203.0.113.9"
    assert Path("/proc/thread-self/ns/net").readlink() == before


def test_a_refused_connection_is_an_error_of_the_connection(fabric: Lab) -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(fabric, "client", ("10.1.0.21", 81))


def test_a_daemon_outlives_its_starter_and_runs_once(fabric: Lab) -> None:
    daemon = spawn(fabric, "web2", "sleeper", ["/bin/sleep", "1000"])
    assert daemon.alive
    with pytest.raises(LabError, match="sleeper is already running in web2"):
        spawn(fabric, "web2", "sleeper", ["/bin/sleep", "1000"])
