"""A receiver of call status callbacks that checks what it gets and fails in every way that a path names.

    callback_receiver.py --secret SECRET [--down FILE]

    /ok/...            200
    /fails/N/...       503 to the first N attempts of each event, then 200
    /later/N/...       429 with Retry-After: N to the first attempt of each event, then 200
    /gone/...          410
    /redirect/...      307 to /ok/redirected
    /stalls/...        reads and never answers
    /resets/...        resets the connection
    /huge/...          200 with a body that never ends

    A path that ends in /result gets an agent's webhook, every other one callbacks.

While the file of --down exists, every connection is closed unread. Each request is told as one line "GOT {json}" with
what was wrong about it in "bad"; signatures are checked by this program's own reckoning.
"""
import argparse
import asyncio
import base64
import datetime
import hashlib
import hmac
import json
import os
import signal
import socket
import struct
import time

RESULT = ["call_id", "from", "to", "started_at", "ended_at", "duration_ms", "cause", "fields", "field_reasons",
          "analytics", "conversation"]
BASE = ["event", "call_id", "from", "to", "status", "direction", "duration", "timestamp", "custom_params"]


def check(headers, body, secret, is_result):
    """What is wrong with a callback, or with a webhook, as a list of sentences."""
    bad = []

    def expect(good, sentence):
        if not good:
            bad.append(sentence)

    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    expect(headers.get("x-signature") == digest, "x-signature is not the HMAC of the body")
    expect(headers.get("x-signature-algorithm") == "HMAC-SHA256", "x-signature-algorithm")
    expect(headers.get("content-type") == "application/json", "content-type")
    sent_at = headers.get("webhook-timestamp", "0")
    expect(abs(time.time() - int(sent_at)) < 5, "webhook-timestamp is not this moment")
    signed = f"{headers.get('webhook-id')}.{sent_at}.".encode() + body
    mac = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    expect(headers.get("webhook-signature") == f"v1,{mac}", "webhook-signature")
    event = json.loads(body)
    for name in RESULT if is_result else BASE:
        expect(name in event, f"{name} is missing")
    expect(headers.get("x-call-id") == event.get("call_id"), "x-call-id")
    timestamp = headers.get("x-timestamp", "")
    expect(is_result or timestamp == event.get("timestamp"), "x-timestamp is not the body's timestamp")
    late = None
    try:
        happened = datetime.datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%S.%fZ")
        late = time.time() - happened.replace(tzinfo=datetime.timezone.utc).timestamp()
    except ValueError:
        bad.append("timestamp is no RFC 3339 with milliseconds")
    return event, late, bad


class Receiver:
    def __init__(self, secret, down):
        self.secret, self.down, self.attempts = secret, down, {}

    def answer(self, path, event_id):
        """Status, further header lines, body; or None for no answer."""
        seen = self.attempts[event_id] = self.attempts.get(event_id, 0) + 1
        kind, _, rest = path.lstrip("/").partition("/")
        count = rest.split("/")[0]
        if kind == "fails":
            return ("503 Unavailable", "", b"") if seen <= int(count) else ("200 OK", "", b"")
        if kind == "later":
            return ("429 Slow Down", f"Retry-After: {count}\r\n", b"") if seen == 1 else ("204 None", "", b"")
        if kind == "gone":
            return "410 Gone", "", b""
        if kind == "redirect":
            return "307 Elsewhere", "Location: /ok/redirected\r\n", b""
        return "200 OK", "", b"{}"

    async def serve(self, reader, writer):
        if self.down and os.path.exists(self.down):
            writer.close()
            return
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            path = lines[0].split(" ")[1]
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            event, late, bad = check(headers, body, self.secret, path.endswith("/result"))
            event_id = headers.get("webhook-id", "")
            kind = path.lstrip("/").split("/")[0]
            answer = self.answer(path, event_id)
            told = {"path": path, "id": event_id, "event": event.get("event"), "call_id": event.get("call_id"),
                    "late": late, "status": answer[0] if kind not in ("stalls", "resets") else kind,
                    "bad": bad, "body": event, "digest": hashlib.sha256(body).hexdigest()}
            print("GOT " + json.dumps(told), flush=True)
            if kind == "stalls":
                await reader.read()
            elif kind == "resets":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            elif kind == "huge":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            else:
                status, more, text = answer
                head = f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--down")
    options = parser.parse_args()
    receiver = Receiver(options.secret, options.down)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, backlog=1024)
    print(f"LISTENING {server.sockets[0].getsockname()[1]}", flush=True)
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()


asyncio.run(main())
