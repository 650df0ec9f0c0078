"""What tests measured: shown behind their results, whether they pass or not."""

SAID: list[str] = []
