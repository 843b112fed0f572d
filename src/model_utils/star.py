"""Messages between rank 0 and all other ranks of a run over TCP, for which nobody waits too short a time.

MindSpore's own sums give up on a CPU after 30 s, so they cannot wait for a rank that saves, checks data or evaluates. A
connection waits as long as the other process lives, and says at once when it has ended.
"""
import os
import resource
import secrets
import socket
import time
from collections.abc import Callable

from src.model_utils.errors import UNetError

# What rank 0 tells all others at the start: its address, its port, and a secret by which the two know each other.
ADDRESS_BYTES, PORT_BYTES, SECRET_BYTES = 4, 2, 16
HELLO_BYTES = ADDRESS_BYTES + PORT_BYTES + SECRET_BYTES
RANK_BYTES = 4

# Time for all ranks to connect. They have just met in MindSpore, so it takes them a moment.
JOIN_SECONDS = 60

LOOPBACK = "127.0.0.1"
PRESENT, LOST = b"\1", b"\0"


class Star:
    """The connections of one rank: on rank 0 to all other ranks, on each of those to rank 0.

    Args:
        rank (int): rank of this process, from 0.
        size (int): number of ranks.
        announce (callable): called once by each rank with HELLO_BYTES bytes; returns those that rank 0 has given.

    Raises:
        UNetError: a rank cannot be reached.
    """

    def __init__(self, rank: int, size: int, announce: Callable[[bytes], bytes]) -> None:
        self.rank, self.size = rank, size
        self._links: dict[int, socket.socket] = _accept(size, announce) if rank == 0 else {0: _join(rank, announce)}
        for link in self._links.values():
            link.settimeout(None)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)      # notices a machine that is gone

    def exchange(self, message: bytes, wait: bool = True) -> list[bytes | None]:
        """Send a message to all ranks, all of which send one of the same length; return those of all ranks.

        Args:
            message (bytes): the message of this rank.
            wait (bool): whether to wait for the others; without it, ranks other than 0 only send.

        Returns:
            list: the message of each rank; None for a rank that has ended, and for all of them without ``wait``.

        Raises:
            ConnectionError: rank 0 has ended.
        """
        if self.rank == 0:
            return self._gather(message)
        self._links[0].sendall(message)
        if not wait:
            return [None] * self.size
        part = 1 + len(message)
        answer = _receive(self._links[0], self.size * part)
        parts = [answer[start:start + part] for start in range(0, len(answer), part)]
        return [found[1:] if found[:1] == PRESENT else None for found in parts]

    def _gather(self, message: bytes) -> list[bytes | None]:
        messages: list[bytes | None] = [message]
        for rank in range(1, self.size):
            try:
                messages.append(_receive(self._links[rank], len(message)))
            except OSError:
                messages.append(None)
        answer = b"".join(LOST + bytes(len(message)) if found is None else PRESENT + found for found in messages)
        for link in self._links.values():
            try:
                link.sendall(answer)
            except OSError:     # its message, or that there was none, has said why
                continue
        return messages


def _accept(size: int, announce: Callable[[bytes], bytes]) -> dict[int, socket.socket]:
    """Wait for all other ranks; return rank -> connection."""
    address, secret = _own_address(), secrets.token_bytes(SECRET_BYTES)
    _allow_open_files(size)
    end = time.monotonic() + JOIN_SECONDS
    links: dict[int, socket.socket] = {}
    with socket.create_server((LOOPBACK if address == LOOPBACK else "", 0), backlog=size) as server:
        port = server.getsockname()[1]
        announce(socket.inet_aton(address) + port.to_bytes(PORT_BYTES, "big") + secret)
        while len(links) < size - 1:
            try:
                server.settimeout(max(end - time.monotonic(), 0.001))
                link, _ = server.accept()
                link.settimeout(max(end - time.monotonic(), 0.001))
                hello = _receive(link, SECRET_BYTES + RANK_BYTES)
                if secrets.compare_digest(hello[:SECRET_BYTES], secret):
                    link.sendall(secret)
                    links[int.from_bytes(hello[SECRET_BYTES:], "big")] = link
            except ConnectionError:     # somebody else
                continue
            except OSError:
                missing = sorted(set(range(1, size)) - links.keys())
                raise UNetError(f"rank 0: the ranks {missing} have not connected to {address}:{port} in "
                                f"{JOIN_SECONDS} s; their logs may say why; the machines of a run must reach each "
                                f"other on all ports") from None
    return links


def _join(rank: int, announce: Callable[[bytes], bytes]) -> socket.socket:
    """Connect to rank 0."""
    hello = announce(bytes(HELLO_BYTES))
    address = socket.inet_ntoa(hello[:ADDRESS_BYTES])
    port = int.from_bytes(hello[ADDRESS_BYTES:ADDRESS_BYTES + PORT_BYTES], "big")
    secret = hello[-SECRET_BYTES:]
    # On one machine the loopback works even where the machine's own address does not.
    for host in dict.fromkeys((address, LOOPBACK)):
        try:
            link = socket.create_connection((host, port), timeout=JOIN_SECONDS / 2)
            link.sendall(secret + rank.to_bytes(RANK_BYTES, "big"))
            if secrets.compare_digest(_receive(link, SECRET_BYTES), secret):
                return link
        except OSError:
            continue
    raise UNetError(f"rank {rank} cannot reach rank 0 at {address}:{port}; the machines of a run must reach each other "
                    f"on all ports")


def _receive(link: socket.socket, count: int) -> bytes:
    """Receive exactly ``count`` bytes. Raises ConnectionError if the other process has ended."""
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            raise ConnectionError("the other process has ended")
        data += more
    return data


def _allow_open_files(count: int) -> None:
    """Raise the limit of open files, often 1024, if so many connections come near it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 1024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _own_address() -> str:
    """Return the address by which other machines reach this one, or that of the loopback if there is no network."""
    # Connecting a datagram socket sends nothing, but chooses the way. 192.0.2.1 stands for any address outside.
    target = os.environ.get("MS_SCHED_HOST") or "192.0.2.1"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            return probe.getsockname()[0]
    except OSError:
        return LOOPBACK
