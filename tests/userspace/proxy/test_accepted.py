"""Who may stay of those that connect."""

from pathlib import Path

from tests.userspace.proxy.stage import Stage, get, hello


async def test_a_client_with_too_many_connections_is_turned_away_and_an_end_makes_room(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, settings={"max_connections_per_client": 2}) as stage:
        first, second = await stage.client(), await stage.client()
        for client in (first, second):
            await client.say(get())
            await client.hear_message()
        third = await stage.client()
        head, _ = await third.hear_message()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert await third.hear_end() == b""
        assert stage.shared.counters.totals["refused_client"] == 1
        assert stage.shared.counters.totals["refused"] == 0
        await first.close()
        await stage.until(lambda: len(stage.shared.connections) == 1)
        fourth = await stage.client()
        await fourth.say(get())
        assert (await fourth.hear_message())[0].startswith(b"HTTP/1.1 200 ")


async def test_one_turned_away_is_not_counted_when_it_ends(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, settings={"max_connections_per_client": 1}) as stage:
        kept = await stage.client()
        await kept.say(get())
        await kept.hear_message()
        for _ in range(3):
            refused = await stage.client()
            assert (await refused.hear_message())[0].startswith(b"HTTP/1.1 503 ")
            await refused.close()
        assert stage.shared.clients._counts == {"127.0.0.1": 1}
