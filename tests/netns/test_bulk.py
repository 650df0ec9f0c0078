"""Large bodies into a VPC and out of it: every byte, by digest, and no segment that a checksum would have refused."""

import hashlib
import os
from collections.abc import Iterator

import pytest

from tests.netns.observe import checksum_errors, eventually, kept, sha256_of
from userspace.lab import demo, nginx
from userspace.lab.lab import Lab

pytestmark = [pytest.mark.netns, pytest.mark.timeout(240)]
GIB, MIB = 1 << 30, 1 << 20
PLACES = ("client", "l4", "gw1", "gw2", "host1", "host2", "blue1", "blue2")


@pytest.fixture(autouse=True)
def no_checksum_error(lab: Lab) -> Iterator[None]:
    before = checksum_errors(lab, PLACES)
    assert len(before) == 3 * len(PLACES)
    yield
    assert checksum_errors(lab, PLACES) == before


def test_a_gibibyte_comes_out_of_a_vpc_whole(lab: Lab) -> None:
    digest = hashlib.sha256()
    with kept(lab, demo.eip(lab), timeout=60) as connection:
        connection.request("GET", f"/size/{GIB}", headers={"Host": "blue.example.com"})
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Length")) == (200, str(GIB))
        while piece := response.read(MIB):
            digest.update(piece)
    assert digest.hexdigest() == sha256_of(lab.state / "files" / str(GIB))


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_hundred_mebibytes_go_into_a_vpc_whole(lab: Lab, chunked: bool) -> None:
    block = os.urandom(MIB)
    pieces = [bytes([n]) + block[1:] for n in range(100)]  # all different: none can stand for another
    name = f"bulk-{chunked}"
    headers = {"Host": "blue.example.com"} | ({} if chunked else {"Content-Length": str(100 * MIB)})
    with kept(lab, demo.eip(lab), timeout=60) as connection:
        connection.request("PUT", f"/upload/{name}", body=iter(pieces), headers=headers, encode_chunked=chunked)
        response = connection.getresponse()
        assert response.status == 201, response.read()
    places = [nginx.directory(lab, vm) / "upload" / name for vm in ("blue1", "blue2")]
    stored = eventually("the upload in one of the VMs", lambda: [path for path in places if path.exists()])
    assert len(stored) == 1
    assert sha256_of(stored[0]) == hashlib.sha256(b"".join(pieces)).hexdigest()
    stored[0].unlink()


def test_many_sizes_around_the_segment_sizes_come_back_as_they_were_sent(lab: Lab) -> None:
    sizes = {size for mss in (1398, 1436, 1460) for size in (mss - 1, mss, mss + 1, 16 * mss, 64 * mss + 1)}
    with kept(lab, demo.eip(lab), timeout=60) as connection:
        for size in sorted(sizes):
            body, uri = os.urandom(size), f"/upload/size-{size}"
            connection.request("PUT", uri, body=body, headers={"Host": "blue.example.com"})
            response = connection.getresponse()
            cookie = (response.getheader("Set-Cookie") or "").partition(";")[0]
            assert response.status == 201, response.read()
            response.read()
            connection.request("GET", uri, headers={"Host": "blue.example.com", "Cookie": cookie})
            assert connection.getresponse().read() == body
            connection.request("DELETE", uri, headers={"Host": "blue.example.com", "Cookie": cookie})
            assert connection.getresponse().read() == b""
