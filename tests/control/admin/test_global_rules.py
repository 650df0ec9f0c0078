"""Global rules: a plugin is in one of them."""

import asyncio

from tests.control.admin.conftest import Client

CORS = {"plugins": {"cors": {}}}


async def test_a_plugin_is_in_one_rule_only(api: Client) -> None:
    await api.must_put("global_rules/1", CORS)
    await api.must_put("global_rules/1", CORS)
    await api.must_put("global_rules/2", {"plugins": {"sticky": {}}})
    says = "plugin 'cors' already exists in global rule with id '1'"
    for answer in (
        await api.put("global_rules/3", {"plugins": {"sticky-": {}, "cors": {}}}),
        await api.put("global_rules/3", CORS),
        await api.patch("global_rules/2", CORS),
    ):
        assert answer.status == 400
    assert answer.error == says
    await api.delete("global_rules/1")
    await api.must_put("global_rules/3", CORS)


async def test_of_two_at_once_one_has_the_plugin(pair: tuple[Client, Client]) -> None:
    for _ in range(8):
        answers = await asyncio.gather(*(api.put(f"global_rules/{n}", CORS) for n, api in enumerate(pair)))
        assert sorted(answer.status for answer in answers) == [201, 400], [answer.raw for answer in answers]
        await pair[0].delete("global_rules/0")
        await pair[0].delete("global_rules/1")
