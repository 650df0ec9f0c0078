"""Each case runs in its own process: what is given up cannot be taken back."""

import os
import subprocess
import sys

import pytest

from userspace.proxy.privileges import PrivilegeError, user_ids

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)


@root_only
def test_after_the_drop_there_is_no_way_back() -> None:
    done = run(
        "import os\n"
        "from userspace.proxy.privileges import drop_to, user_ids\n"
        "drop_to(*user_ids('nobody'))\n"
        "assert os.getgroups() == []\n"
        "for regain in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.chown('/etc/hosts', 0, 0)):\n"
        "    try: regain()\n"
        "    except PermissionError: pass\n"
        "    else: raise SystemExit('regained')\n"
    )
    assert done.returncode == 0, done.stderr


@root_only
def test_a_capability_that_survives_is_an_error() -> None:
    done = run(
        "import ctypes\n"
        "from userspace.proxy.privileges import PrivilegeError, drop_to, user_ids\n"
        "ctypes.CDLL(None).prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS: setuid leaves the permitted set alone\n"
        "try: drop_to(*user_ids('nobody'))\n"
        "except PrivilegeError as error: assert 'CapPrm' in str(error), error\n"
        "else: raise SystemExit('not noticed')\n"
    )
    assert done.returncode == 0, done.stderr


def test_no_new_privs_is_set_and_checked() -> None:
    done = run(
        "from pathlib import Path\n"
        "from userspace.proxy.privileges import forbid_new\n"
        "forbid_new()\n"
        "assert 'NoNewPrivs:\\t1' in Path('/proc/self/status').read_text()\n"
    )
    assert done.returncode == 0, done.stderr


def test_the_descriptor_limit_becomes_what_is_wanted_as_far_as_the_user_may_raise_it() -> None:
    done = run(
        "import os, resource\n"
        "from userspace.proxy.privileges import raise_descriptor_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))\n"
        "assert raise_descriptor_limit(150) == 200\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (200, 200)\n"
        "raised = raise_descriptor_limit(300)\n"
        "assert raised in (200, 300) and resource.getrlimit(resource.RLIMIT_NOFILE) == (raised, raised)\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "assert raise_descriptor_limit(400) == raised\n"
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_user_is_named() -> None:
    with pytest.raises(PrivilegeError, match="user no-such-user does not exist"):
        user_ids("no-such-user")
