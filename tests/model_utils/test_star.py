"""Messages between ranks, with threads in the place of ranks."""
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from src.model_utils import star
from src.model_utils.errors import UNetError
from src.model_utils.star import Star


class Announcement:
    """What rank 0 announces, for all others."""

    def __init__(self):
        self.said, self.hello = threading.Event(), b""

    def __call__(self, message):
        if any(message):
            self.hello = message
            self.said.set()
        assert self.said.wait(60)
        return self.hello


@pytest.fixture
def stars():
    """Makes the Star of each rank, in the order of the ranks."""
    def make(size, announce=None):
        announce = announce or Announcement()
        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(lambda rank: Star(rank, size, announce), range(size)))
    return make


def exchange(stars, messages, **options):
    with ThreadPoolExecutor(len(stars)) as pool:
        return list(pool.map(lambda star, message: star.exchange(message, **options), stars, messages))


@pytest.mark.parametrize("size", [2, 3, 7])
def test_all_get_the_messages_of_all(stars, size):
    made = stars(size)
    for number in range(3):
        messages = [bytes([rank, number]) for rank in range(size)]
        assert exchange(made, messages) == [messages] * size


@pytest.mark.slow
def test_they_wait_for_the_slowest(stars, monkeypatch):
    monkeypatch.setattr(star, "JOIN_SECONDS", 2)      # counts only until all have met
    made = stars(3)

    def late(number):
        time.sleep(number * 1.2)
        return made[number].exchange(bytes([number]))

    for order in ((0, 1, 2), (2, 1, 0)):
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(late, order)) == [[b"\0", b"\1", b"\2"]] * 3


def test_a_rank_that_has_ended_is_told_to_all_others(stars):
    made = stars(3)
    made[1]._links[0].close()
    assert exchange([made[0], made[2]], [b"a", b"c"]) == [[b"a", None, b"c"]] * 2


def test_the_last_message_of_a_rank_that_does_not_wait(stars):
    made = stars(3)
    assert made[2].exchange(b"z", wait=False) == [None] * 3
    made[2]._links[0].close()
    assert exchange(made[:2], [b"a", b"b"]) == [[b"a", b"b", b"z"]] * 2


def test_without_rank_0_there_is_nobody_to_tell(stars):
    made = stars(2)
    for link in made[0]._links.values():
        link.close()
    with pytest.raises(ConnectionError):
        made[1].exchange(b"x")


def test_strangers_are_turned_away(stars):
    """Another program that connects to the port does not become a rank."""
    announce = Announcement()

    def strange(message):
        hello = announce(message)
        port = int.from_bytes(hello[4:6], "big")
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(bytes(20))
        return hello

    made = stars(2, strange)
    assert exchange(made, [b"a", b"b"]) == [[b"a", b"b"]] * 2


def test_rank_that_cannot_be_reached(monkeypatch):
    monkeypatch.setattr(star, "JOIN_SECONDS", 0.3)
    with pytest.raises(UNetError, match=r"rank 0: the ranks \[1, 2\] have not connected to .* in 0.3 s"):
        Star(0, 3, lambda message: message)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    hello = socket.inet_aton("127.0.0.1") + port.to_bytes(2, "big") + bytes(16)
    with pytest.raises(UNetError, match=f"rank 1 cannot reach rank 0 at 127.0.0.1:{port}; the machines"):
        Star(1, 2, lambda message: hello)
