"""Giving up root for good. Everything that needs importing or opening has been by then: a checkout may be 0700."""

import contextlib
import ctypes
import os
import pwd
import resource

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")  # the bounding set grants nothing under no_new_privs


class PrivilegeError(RuntimeError):
    """Something that was to be given up is still there."""


def user_ids(name: str) -> tuple[int, int]:
    """Return (uid, gid) of a user. Raises PrivilegeError for an unknown name."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise PrivilegeError(f"user {name} does not exist") from None
    return entry.pw_uid, entry.pw_gid


def drop_to(uid: int, gid: int) -> None:
    """Become this user with no other group, no capability, and no way back. Raises PrivilegeError if any is left."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    forbid_new()
    left = [name for name, value in _status().items() if name in _CAPABILITY_SETS and int(value, 16)]
    if left or os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise PrivilegeError(f"still uid {os.getresuid()}, gid {os.getresgid()}, capabilities in {left}")
    if uid != 0 and os.getgroups() not in ([], [gid]):
        raise PrivilegeError(f"still in groups {os.getgroups()}")


def forbid_new() -> None:
    """Set no_new_privs: no execve of this process or its children gains a privilege. Raises PrivilegeError."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or _status().get("NoNewPrivs") != "1":
        raise PrivilegeError("no_new_privs cannot be set")


def raise_descriptor_limit(wanted: int) -> int:
    """Raise the limit of open descriptors to `wanted`, or as near as this user may; return what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        with contextlib.suppress(ValueError, PermissionError):  # above the hard limit only root may go
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _status() -> dict[str, str]:
    with open("/proc/self/status") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}
