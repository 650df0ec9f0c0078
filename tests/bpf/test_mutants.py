"""The splice broken on purpose: each invariant has a row or a test that goes red without it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bpf import splice_rows, test_splice, test_splice_answers, test_splice_log
from tests.bpf.conftest import SIZES
from tests.bpf.splice_machine import from_client
from tests.bpf.test_splice import Machine
from tests.bpf.test_splice_log import Told
from tests.bpf.test_splice_model import every_step
from tests.packets import run_case
from userspace.node import datapath
from userspace.node.datapath import Datapath
from userspace.node.splice_abi import State

pytestmark = pytest.mark.bpf
Probe = Callable[[Machine], None]


@dataclass(frozen=True)
class Mutant:
    """`text` of `header` becomes `broken`; `probe` must fail then, and where it is modelled, the comparison with it."""

    name: str
    header: str
    text: str
    broken: str
    probe: Probe
    modelled: bool = True


def rows(beginning: str) -> Probe:
    """Run every row whose name begins so."""
    chosen = [row for row in splice_rows.ROWS if row.name.startswith(beginning)]
    assert chosen

    def probe(machine: Machine) -> None:
        for row in chosen:
            run_case(row, machine.program, machine.tables, machine.ifindex)

    return probe


MUTANTS = (
    Mutant("numbers as they came", "segment.h", "pkt->seq + shift->seq", "pkt->seq", rows("splice: bytes of")),
    Mutant("SACK as it came", "segment.h", "if (segment->sack_at)", "if (0)", rows("splice: 1 SACK")),
    Mutant(
        "the window as it came",
        "segment.h",
        "return window && !scaled ? 1 : scaled",
        "return window + (scaled & 0)",
        rows("splice: window"),
    ),
    Mutant("timestamps as they came", "segment.h", "+ shift->ts)", ")", rows("splice: timestamps")),
    Mutant(
        "quotes as they came",
        "splice_error.h",
        "bpf_ntohl(old) - delta",
        "bpf_ntohl(old)",
        rows("splice: an error about what"),
        modelled=False,
    ),
    Mutant(
        "any attribute will do", "guard.h", "if (i != GUARD_PATH)\n\t\t\treturn 0;", "continue;", rows("guard: another")
    ),
    Mutant(
        "an old epoch will do",
        "guard.h",
        "splice->epoch != key->epoch + *epoch",
        "0",
        rows("guard: a new epoch"),
        False,
    ),
    Mutant(
        "an upstream may change", "guard.h", "key->epoch + *epoch", "key->epoch", rows("guard: a new epoch of"), False
    ),
    Mutant(
        "any bytes may be sent again",
        "guard.h",
        "key) == hash ?",
        "key) | 1 ?",
        test_splice.test_a_retransmission_of_a_head_has_to_be_the_same_bytes,
    ),
    Mutant(
        "a second head in a packet is a body",
        "guard.h",
        "why = SPLICE_BACK_PIPELINED",
        "why = 0",
        rows("guard: two heads"),
    ),
    Mutant("a gap is none", "guard.h", "if (pkt->seq != from)", "if (0)", rows("guard: a head beyond")),
    Mutant(
        "no checksum is bad",
        "guard.h",
        "if (!csum_holds(",
        "if (0 && !csum_holds(",
        rows("guard: a head with a bad checksum"),
    ),
    Mutant(
        "held for ever",
        "splice_state.h",
        "bpf_ktime_get_ns() < splice->deadline_ns",
        "1",
        rows("splice: on its way back, and"),
    ),
    Mutant(
        "the tail's acknowledgements are the endpoint's",
        "splice_state.h",
        "if (done <= 0 && !payload && !pkt->fin)",
        "if (0)",
        test_splice.test_the_acknowledged_tail_is_told_once,
    ),
    Mutant(
        "a reset that the endpoint never took opens the way",
        "splice_state.h",
        "if (payload && splice->kind == SPLICE_GUARDED) {",
        "if (payload && splice->kind == SPLICE_GUARDED && splice->state != SPLICE_CLOSED) {",
        test_splice.test_after_a_reset_that_the_endpoint_never_took_requests_are_judged,
    ),
    Mutant(
        "a reset near the number that is expected counts",
        "splice_state.h",
        "return pkt->seq - acked <= splice->end[way] - acked;",
        "return pkt->seq - acked < RST_WINDOW;",
        lambda machine: test_splice.test_a_reset_is_believed_where_its_receiver_expects_it(machine, 1000, State.ACTIVE),
    ),
    Mutant(
        "a reset is for ever",
        "splice_state.h",
        "splice_revive(splice);",
        "",
        lambda machine: test_splice.test_who_sends_on_has_not_been_reset(
            machine, from_client("R", chksum=0x1234), from_client(payload=b"x")
        ),
    ),
    Mutant(
        "urgent bytes are bytes",
        "splice_state.h",
        "segment->old.bits & TCP_URG",
        "0",
        rows("guard: a head with an u"),
    ),
    Mutant(
        "a SYN's bytes are bytes",
        "splice_state.h",
        "(pkt->syn && payload)",
        "(pkt->syn > 1 && payload)",
        rows("guard: a head in a SYN"),
    ),
    Mutant(
        "a SYN opens a connection at the endpoint", "splice.h", "way == UP && pkt->syn", "0", rows("splice: a SYN on a")
    ),
    Mutant(
        "a hash of whole words and a known number",
        "guard_hash.h",
        "return __builtin_bswap64(hash) * factor;",
        "hash ^= hash >> 32; hash *= 0x9e3779b97f4a7c15ULL; return hash ^ hash >> 29;",
        test_splice.test_who_does_not_know_the_key_makes_no_two_heads_of_one_hash,
        modelled=False,
    ),
    Mutant(
        "the end of an answer is not kept",
        "splice_count.h",
        "splice->last = bytes;",
        "",
        test_splice_answers.test_how_an_answer_begins_and_ends_is_kept,
    ),
    Mutant(
        "what overtakes an answer's head is taken for it",
        "splice_count.h",
        "if (seq != splice->answer + splice->said_len)",
        "if (ahead(seq, splice->answer + splice->said_len) < 0)",
        test_splice_answers.test_how_an_answer_begins_and_ends_is_kept,
    ),
    Mutant(
        "an interim answer is the answer",
        "splice_count.h",
        "if (status / 100 == 1) {",
        "if (status / 100 == 10) {",
        test_splice_answers.test_an_interim_response_is_not_the_response,
    ),
    Mutant(
        "what had to carry on comes back at once",
        "guard.h",
        "bpf_ktime_get_ns() < splice->deadline_ns",
        "0",
        test_splice.test_what_had_to_carry_on_comes_back_no_sooner_than_it_may,
        modelled=False,
    ),
    Mutant(
        "a packet of a body is a request",
        "splice_state.h",
        "if (splice->logged && (request || verdict != GUARD_FORWARD))",
        "if (splice->logged)",
        lambda machine: test_splice_log.test_bytes_are_those_of_the_body_too_and_what_is_repeated_counts_once(
            machine, Told(machine)
        ),
        modelled=False,
    ),
    Mutant(
        "a window is not remembered",
        "splice_state.h",
        "splice->window[way] = bpf_ntohs(segment->old.window);",
        "",
        test_splice.test_the_last_window_is_remembered,
    ),
)


@contextmanager
def bred(mutant: Mutant | None, folder: Path, root: Path, cache: Path) -> Iterator[Datapath]:
    """Load the gateway's way in from sources with the mutation in it."""
    sources = folder / "bpf"
    shutil.copytree(datapath.SOURCES, sources)
    if mutant is not None:
        header = sources / "lib" / mutant.header
        assert header.read_text().count(mutant.text) == 1, "the mutation has nothing to change, or too much"
        header.write_text(header.read_text().replace(mutant.text, mutant.broken))
    only = tuple(program for program in datapath.ROLES["gateway"] if program.function == "vxlan_ingress")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datapath, "SOURCES", sources)
        patch.setattr(datapath, "ROLES", {"gateway": only})
        loaded = datapath.load(root, "gateway", SIZES, cache)
    yield loaded
    loaded.close()
    datapath.detach(root)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_without_it_a_test_goes_red(
    mutant: Mutant, ifindex: int, gateway: Datapath, bpffs: Path, tmp_path: Path
) -> None:
    mutant.probe(Machine(gateway, ifindex, False))
    with bred(mutant, tmp_path, bpffs / "mutant", tmp_path) as loaded:
        broken = Machine(loaded, ifindex, False)
        with pytest.raises((AssertionError, ValueError)):
            mutant.probe(broken)
        if mutant.modelled:
            with pytest.raises(AssertionError):
                every_step(broken)
