"""Compile one BPF source with BCC and pin what comes out: `python -m userspace.node.compile`, a process of its own.

The only import of bcc. A process, because BCC brings 145 MB of LLVM that the node would keep, and because the
verifier speaks to file descriptor 2 only: the parent captures it (datapath.py). bcc is Debian's python3-bpfcc, linked
into the environment by `make setup`; the `bcc` of PyPI is another project.
"""

import json
import os
import re
import sys
from pathlib import Path

from userspace.node import bpf

PROGRAM_TYPES = {"sched_cls": 3, "xdp": 6, "sock_ops": 13, "cgroup_sock_addr": 18}


INCLUDE = re.compile(r'^#include "(\w+\.h)"$')


def flatten(source: Path, include_dir: Path) -> str:
    """Return the text of `source` with our own headers put in place, each once.

    BCC rewrites `map.method()` in the main file and drops its edits of included ones: a map used in a header would
    compile to an indirect call that the verifier refuses ("unknown opcode 8d"). #line keeps messages truthful.
    """
    seen: set[str] = set()

    def expand(path: Path) -> list[str]:
        lines = [f'#line 1 "{path}"']
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            include = INCLUDE.match(line)
            if include is None:
                lines.append(line)
            elif include[1] not in seen:
                seen.add(include[1])
                lines += [*expand(include_dir / include[1]), f'#line {number + 1} "{path}"']
            else:
                lines.append("")
        return lines

    return "\n".join(expand(source)) + "\n"


def compile_and_pin(source: str, cflags: list[str], programs: list[dict[str, str | int]], into: str) -> None:
    """Load the functions of `source` and pin each as `into`/<function>.

    programs: [{"function", "type": one of PROGRAM_TYPES, "attach_type": int or -1}]. Maps pin themselves (maps.h).
    Raises what bcc raises; the reason is on stderr.
    """
    from bcc import BPF, libbcc

    path = Path(source)
    module = BPF(text=flatten(path, path.parent / "lib"), cflags=cflags)
    for program in programs:
        name = str(program["function"])
        type = PROGRAM_TYPES[str(program["type"])]
        if program["type"] == "xdp":  # BCC's own call has no place for the flag
            fd = bpf.program_load(type, name, module.dump_func(name), bpf.XDP_HAS_FRAGS)
        else:
            fd = module.load_func(name, type, attach_type=int(program["attach_type"])).fd
        pin = Path(into) / name
        pin.unlink(missing_ok=True)
        if libbcc.lib.bpf_obj_pin(fd, str(pin).encode()) != 0:
            raise OSError(f"cannot pin {name} at {pin}")


def main() -> int:
    """Read one job as JSON from standard input: {"source", "cflags", "programs", "into", "headers"}."""
    job = json.load(sys.stdin)
    os.environ["BCC_KERNEL_SOURCE"] = job["headers"]
    compile_and_pin(job["source"], job["cflags"], job["programs"], job["into"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
