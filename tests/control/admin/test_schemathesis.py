"""Schemathesis against a real `unilb control`, from the document that it serves: no 5xx, nothing that is not in it."""

import contextlib
from pathlib import Path

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.control.admin.conftest import KEY
from tests.control.admin.control_process import control_process

SEED = 20261123
# Per operation and mode: about 1,100 requests in all.
EXAMPLES = 4
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_answers_are_those_of_the_document(tmp_path: Path) -> None:
    asked = 0
    with control_process(tmp_path) as (url, _), requests.Session() as session:
        session.trust_env = False
        session.headers["X-API-KEY"] = KEY
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        for result in schema.get_all_operations():
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                asked += attack(result.ok(), mode, session)
    assert asked > 500


def attack(operation: APIOperation, mode: GenerationMode, session: requests.Session) -> int:
    """Ask for one operation in many ways; how many times it was asked."""
    asked = 0

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: "schemathesis.Case") -> None:
        nonlocal asked
        asked += 1
        case.validate_response(case.call(session=session), checks=CHECKS)

    # Some operations take nothing that could be wrong.
    with contextlib.suppress(Unsatisfiable):
        run()
    return asked
