"""sslyze scans the listener: what it finds by Mozilla's "intermediate" configuration, and the attacks that it tries."""

import asyncio
import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from tests.control.certificates import authority
from tests.userspace.proxy.stage import get, hello
from tests.userspace.proxy.tls_stage import TlsStage

SCANNER = Path(__file__).resolve().parents[3] / ".build" / "sslyze" / "bin" / "sslyze"


@pytest.mark.skipif(not SCANNER.exists(), reason="make .build/sslyze/.installed")
async def test_a_scan_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate, key = authority().sign("a.example", 90, yesterday)
    (tmp_path / "root.pem").write_text(authority().certificate)
    ssls = {"s1": {"snis": ["a.example"], "cert": certificate, "key": key}}
    async with TlsStage(tmp_path, hello, ssls=ssls) as stage:
        program = await asyncio.create_subprocess_exec(
            *(SCANNER, "--mozilla_config", "intermediate", "--sni", "a.example", "--json_out", tmp_path / "found.json"),
            *("--certinfo_ca_file", tmp_path / "root.pem", f"127.0.0.1:{stage.tls_port}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await program.communicate()
        assert b": OK - Compliant." in out, out.decode()
        assert program.returncode == 0
        found = _results((tmp_path / "found.json").read_text())
        assert not found["heartbleed"]["is_vulnerable_to_heartbleed"]
        assert not found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
        assert found["robot"]["robot_result"] == "NOT_VULNERABLE_RSA_NOT_SUPPORTED"
        assert not found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
        assert found["session_renegotiation"]["supports_secure_renegotiation"]
        assert found["tls_fallback_scsv"]["supports_fallback_scsv"]
        assert not found["tls_compression"]["supports_compression"]
        # All of that was refused, and nobody else suffers from it.
        await (client := await stage.secure()).say(get())
        assert (await client.hear_message())[0].startswith(b"HTTP/1.1 200")
        assert sum(stage.failures.values()) > 100


def _results(text: str) -> dict[str, Any]:
    [server] = json.loads(text)["server_scan_results"]
    return {name: attempt["result"] for name, attempt in server["scan_result"].items()}
