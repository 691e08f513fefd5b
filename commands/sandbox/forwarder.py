"""A program of its own, inside the cage: TCP on 127.0.0.1 carried to the proxy outside.

`python -I -S forwarder.py PORT SOCKET` prints `ready` when it listens, and serves until it
is killed. It judges nothing: the proxy at the other end of the Unix socket does.
"""

import asyncio
import sys
from contextlib import suppress

_CHUNK = 1 << 16


async def main(port: int, path: str) -> None:
    """Carry each connection to the socket at `path`, both ways, until both sides are done."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                there, back = await asyncio.open_unix_connection(path)
                try:
                    await asyncio.gather(_carry(reader, back), _carry(there, writer))
                finally:
                    back.close()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        sink.write(data)
        await sink.drain()
    with suppress(OSError):
        sink.write_eof()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
