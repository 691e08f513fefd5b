"""The body of an answer, decompressed piece by piece within bounds."""

import zlib

from commands.command import CommandError

ACCEPTED = "gzip, deflate"
_AT_ONCE = 1 << 20  # bytes that one step may give, so that no step gives a bomb's whole load


class Body:
    """Takes what comes from the wire and holds what it stands for.

    `full` says that one of the bounds was reached, in bytes: of what came, of what it became.
    """

    def __init__(self, coding: str, most_raw: int, most: int) -> None:
        self.data = bytearray()
        self.full = False
        self._raw = 0
        self._most_raw = most_raw
        self._most = most
        self._inflate = _inflater(coding)
        self._begun = False

    def take(self, piece: bytes) -> None:
        """CommandError when it isn't compressed as the answer's head said."""
        room = self._most_raw - self._raw
        self._raw += len(piece)
        self.full = self.full or len(piece) > room
        try:
            self._add(piece[: max(room, 0)])
        except zlib.error as error:
            raise CommandError(f"The answer's compression is broken: {error}.") from None

    def _add(self, piece: bytes) -> None:
        if self._inflate is None:
            self._keep(piece)
            return
        while piece and not self.full and not self._inflate.eof:
            self._keep(self._inflated(piece))
            piece = self._inflate.unconsumed_tail

    def _inflated(self, piece: bytes) -> bytes:
        assert self._inflate is not None
        begun, self._begun = self._begun, True
        try:
            return self._inflate.decompress(piece, _AT_ONCE)
        except zlib.error:
            if begun:
                raise
            # Some servers call the bare stream "deflate", without the two bytes before it.
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inflate.decompress(piece, _AT_ONCE)

    def _keep(self, piece: bytes) -> None:
        room = self._most - len(self.data)
        self.data += piece[:room]
        self.full = self.full or len(piece) > room


def _inflater(coding: str) -> "zlib._Decompress | None":
    match coding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(zlib.MAX_WBITS | 16)
        case "deflate":
            return zlib.decompressobj()
        case other:
            raise CommandError(f"The answer is compressed as {other!r:.60}, which isn't read.")
