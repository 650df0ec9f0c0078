"""Compile one BPF source with BCC into an image: `python -m userspace.node.compile`, a process of its own.

The only import of bcc. A process, because BCC brings 145 MB of LLVM that the node would keep, and because compiler and
verifier speak to file descriptor 2 only: the parent captures it (image_cache.py). bcc is Debian's python3-bpfcc, linked
into the environment by `make setup`; the `bcc` of PyPI is another project.
"""

import json
import os
import re
import sys
from collections.abc import Collection
from ctypes import c_char_p, c_size_t, c_void_p
from pathlib import Path

from userspace.node import bpf_load
from userspace.node.image import Image, Wanted, with_maps

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


def compiled(source: Path, wanted: Collection[Wanted]) -> Image:
    """Return the image of `source`. Raises what bcc raises; the reason is on stderr."""
    from bcc import BPF, libbcc

    module = BPF(text=flatten(source, source.parent / "lib"))
    name_of = libbcc.lib.bpf_table_name  # which bcc itself does not use, nor declare
    name_of.restype, name_of.argtypes = c_char_p, [c_void_p, c_size_t]
    count = range(libbcc.lib.bpf_num_tables(module.module))
    fds = [libbcc.lib.bpf_table_fd_id(module.module, i) for i in count]
    names = [name_of(module.module, i).decode() for i in count]
    specs, types = {}, b""
    for name, fd in zip(names, fds, strict=True):
        specs[name], id = bpf_load.map_spec(fd)
        types = types or (bpf_load.btf_data(id) if id else b"")
    places = {fd: place for place, fd in enumerate(fds)}
    for each in wanted:
        _try(module, each)
    return Image(types, specs, {each.function: with_maps(module.dump_func(each.function), places) for each in wanted})


def _try(module: "BPF", wanted: Wanted) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Load a function once, to lose it again: what the verifier refuses is said with the lines of the source here,
    which an image does not have. BCC's own call has no place for flags."""
    if wanted.flags:
        code = module.dump_func(wanted.function)
        os.close(bpf_load.program_load(wanted.type, wanted.function, code, wanted.flags))
    else:
        module.load_func(wanted.function, wanted.type, attach_type=wanted.attach_type or -1)


def main() -> int:
    """Read one job as JSON from standard input, {"source", "wanted": [Wanted's fields], "headers"}; write the image."""
    job = json.load(sys.stdin)
    os.environ["BCC_KERNEL_SOURCE"] = job["headers"]
    sys.stdout.write(compiled(Path(job["source"]), [Wanted(*each) for each in job["wanted"]]).to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
