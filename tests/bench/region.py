"""A lab of the benchmarks' own, with the demo's load balancer published."""

from collections.abc import Iterator
from contextlib import contextmanager

from userspace.lab import demo, topology
from userspace.lab.down import down
from userspace.lab.lab import Lab
from userspace.lab.up import up

NAME = "bench"


@contextmanager
def region() -> Iterator[Lab]:
    described = topology.load(topology.DEFAULT_PATH)
    lab = Lab(described, NAME)
    down(NAME, described)
    try:
        up(lab)
        demo.publish_paths(lab)
        demo.wait_until_routed(lab)
        yield lab
    finally:
        down(NAME, described)
