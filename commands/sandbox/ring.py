"""A buffer that keeps the start and the end of what is too long."""

from collections import deque

END_BYTES = 512 * 1024  # kept of each end


class Ring:
    """Takes bytes without end and holds at most `end_bytes` of their head and of their tail."""

    def __init__(self, end_bytes: int = END_BYTES) -> None:
        self._end_bytes = end_bytes
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self.total = 0  # bytes taken so far

    def take(self, data: bytes) -> None:
        """Add bytes at the end."""
        self.total += len(data)
        room = self._end_bytes - len(self._head)
        self._head += data[:room]
        if len(data) > room:
            self._tail.append(data[room:])
            self._tail_bytes += len(data) - room
        while self._tail and self._tail_bytes - len(self._tail[0]) >= self._end_bytes:
            self._tail_bytes -= len(self._tail.popleft())

    def held(self) -> bytes:
        """All of it, or head and tail with a line between that counts what was left out."""
        tail = b"".join(self._tail)[-self._end_bytes :]
        missing = self.total - len(self._head) - len(tail)
        if not missing:
            return bytes(self._head) + tail
        return bytes(self._head) + f"\n…{missing:,} bytes left out…\n".encode() + tail
