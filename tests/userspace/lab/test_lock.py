"""userspace/lab/lock.py: one holder, also when the held directory goes away."""

import threading
from pathlib import Path

from userspace.lab.lock import locked


def test_a_waiter_gets_the_directory_that_exists_and_not_the_removed_one(tmp_path: Path) -> None:
    state = tmp_path / "lab"
    got = threading.Event()

    def wait() -> None:
        with locked(state):
            (state / "mine").touch()
            got.set()

    waiter = threading.Thread(target=wait)
    with locked(state):
        waiter.start()
        assert not got.wait(0.1)
        state.rmdir()
    assert got.wait(10)
    waiter.join()
    assert (state / "mine").exists()
