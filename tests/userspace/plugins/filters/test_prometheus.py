from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filter import EVERY_REQUEST
from userspace.plugins.filters.prometheus import Prometheus


def test_it_takes_part_in_no_phase_and_still_wants_every_request() -> None:
    chain = build_chain({"prometheus": {}}, Env())
    assert (chain.rewrite, chain.access, chain.header_filter, chain.log) == ((), (), (), ())
    assert Prometheus.footprint({}) is EVERY_REQUEST


def test_names_instead_of_ids_are_refused_by_name() -> None:
    assert Prometheus.unserved({"prefer_name": True}) == 'property "prefer_name": not served by unilb'
    assert Prometheus.unserved({"prefer_name": False}) is None
