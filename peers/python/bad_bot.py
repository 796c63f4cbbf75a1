#!/usr/bin/env python3
"""Bots that fail: nine ways in which a bot spoils a call. Prints LISTENING port and URL, then one JSON line per thing that happened.

usage: bad_bot.py --behaviour NAME [--dialect ivr-solutions] [--after 2]
  refused        nothing listens: the port is held, connections are refused
  dns            no server at all: the URL names a host that does not exist
  unauthorized   401 to every handshake
  tls-plain      a wss:// URL whose port speaks plain text     (--behaviour tls is this one)
  tls-selfsigned a wss:// URL with a self-signed certificate
  no-handshake   the connection is taken, the handshake never answered
  stall          a good bot that, after --after seconds, reads nothing and answers no ping
  reset          a good bot that resets the connection after --after seconds
  never-reads    the handshake is answered, then nothing is ever read
  floods         sends audio and unknown messages as fast as it can, for as long as it is let
"""

import argparse
import asyncio
import json
import os
import pathlib
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

T0 = time.monotonic()
NAMES = "refused dns unauthorized tls tls-plain tls-selfsigned no-handshake stall reset never-reads floods".split()


def tell(event, **more):
    print(json.dumps({"event": event, "ms": round((time.monotonic() - T0) * 1000), "unix_ms": round(time.time() * 1000), **more}), flush=True)


def announce(port, scheme="ws", host="127.0.0.1"):
    print(f"LISTENING {port}", flush=True)
    print(f"URL {scheme}://{host}:{port}/", flush=True)


def set_linger_zero(transport):
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def raw_server(args, scheme, answer):
    """A TCP server that answers each connection's first bytes with `answer` (None: never) and then waits for its end."""

    async def on_connection(reader, writer):
        tell("connected")
        try:
            first = await reader.read(4096)
            tell("heard", bytes=len(first))
            if answer is not None and first:
                writer.write(answer)
                await writer.drain()
                if scheme == "ws":
                    writer.close()
            while await reader.read(4096):
                pass
        except OSError as e:
            tell("error", why=type(e).__name__)
        tell("gone")
        writer.close()

    server = await asyncio.start_server(on_connection, args.host, args.port)
    announce(server.sockets[0].getsockname()[1], scheme)
    return server


def selfsigned():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bad-bot-"))
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    for f in folder.iterdir():
        f.unlink()
    folder.rmdir()
    return context


async def greet(ws, dialect):
    if dialect == "incoming-call":
        await ws.recv()
        await ws.send('{"event":"answer"}')
        tell("answered")


async def echo_until(ws, seconds):
    """A good bot for a while: binary and smartpbx or ozonetel media go back as they came."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(ws.recv(), left)
        except TimeoutError:
            return
        if isinstance(message, bytes):
            await ws.send(message)
        elif '"media"' in message:
            msg = json.loads(message)
            if "chunk" in msg.get("media", {}):
                msg = {"type": "response.audio.delta", "delta": msg["media"]["payload"]}
            await ws.send(json.dumps(msg))


def flood_message(dialect, ucid):
    second = bytes(16000)
    return {
        "ivr-solutions": second,
        "incoming-call": second,
        "smartpbx": json.dumps({"event": "media", "media": {"payload": "AAAA" * 16000}}),
        "ozonetel": json.dumps({"event": "media", "type": "media", "ucid": ucid, "data": {
            "samples": [0] * 8000, "bitsPerSample": 16, "sampleRate": 8000, "channelCount": 1, "numberOfFrames": 8000, "type": "data"}}),
    }[dialect]


async def flood(ws, dialect):
    ucid = json.loads(await ws.recv()).get("ucid", "") if dialect == "ozonetel" else ""
    message, sent = flood_message(dialect, ucid), 0
    drop = asyncio.create_task(drain(ws))
    try:
        while True:
            await ws.send(message)
            await ws.send('{"type":"nonsense","x":"' + "y" * 1000 + '"}')
            sent += len(message) + 1024
            if sent % (1 << 24) < len(message) + 1024:
                tell("flooding", megabytes=sent >> 20)
    finally:
        drop.cancel()
        tell("flooded", megabytes=sent >> 20)


async def drain(ws):
    async for _ in ws:
        pass


async def on_call(ws, args):
    tell("call")
    try:
        if args.behaviour == "never-reads":
            await ws.send('{"event":"answer"}') if args.dialect == "incoming-call" else None
            ws.transport.pause_reading()
            tell("stopped-reading")
            await watch_for_end(ws)
            return
        await greet(ws, args.dialect)
        if args.behaviour == "floods":
            await flood(ws, args.dialect)
        await echo_until(ws, args.after)
        if args.behaviour == "reset":
            set_linger_zero(ws.transport)
            ws.transport.abort()
            tell("reset")
        elif args.behaviour == "stall":
            ws.transport.pause_reading()
            tell("stalled")
            await watch_for_end(ws)
        else:
            await drain(ws)
    except ConnectionClosed as e:
        tell("closed", code=e.rcvd.code if e.rcvd else 1006)


async def watch_for_end(ws):
    """Tells when the other end is gone although nothing is read (the kernel knows)."""
    fd = ws.transport.get_extra_info("socket")
    while True:
        state = fd.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state != 1:  # not ESTABLISHED
            tell("peer-left")
            return
        await asyncio.sleep(0.05)


async def websocket_server(args):
    context = selfsigned() if args.behaviour == "tls-selfsigned" else None

    def refuse(connection, request):
        tell("refused-401")
        return connection.respond(401, "who are you\n")

    server = await serve(lambda ws: on_call(ws, args), args.host, args.port, ssl=context, compression=None, ping_interval=None, max_size=2**20,
                         process_request=refuse if args.behaviour == "unauthorized" else None)
    announce(server.sockets[0].getsockname()[1], "wss" if context else "ws")
    return server


async def run(args):
    keep = None
    if args.behaviour == "refused":
        keep = socket.socket()
        keep.bind((args.host, args.port))  # held but not listened on
        announce(keep.getsockname()[1])
    elif args.behaviour == "dns":
        announce(9, host="no-such-host.invalid")
    elif args.behaviour == "no-handshake":
        keep = await raw_server(args, "ws", None)
    elif args.behaviour in ("tls", "tls-plain"):
        keep = await raw_server(args, "wss", b"this port speaks no TLS\r\n")
    else:
        keep = await websocket_server(args)
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await stop.wait()
    del keep
    os._exit(0)  # a polite end would wait for connections that are stalled on purpose


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--behaviour", required=True, choices=NAMES)
    p.add_argument("--dialect", default="ivr-solutions", choices=("ivr-solutions", "incoming-call", "smartpbx", "ozonetel"))
    p.add_argument("--after", type=float, default=2, help="seconds of good behaviour")
    p.add_argument("--listen", default="127.0.0.1:0")
    args = p.parse_args()
    args.host, _, port = args.listen.rpartition(":")
    args.port = int(port)
    asyncio.run(run(args))


if __name__ == "__main__":
    main()
