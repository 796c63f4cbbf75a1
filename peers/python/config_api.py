#!/usr/bin/env python3
"""A CONFIG_API (seed 000 §3A): judges each question and answers in the way that its path asks for.

usage: config_api.py [--bot ws://…] [--victim ws://…]     prints LISTENING port, then one line ASKED {json} a question; ends at SIGTERM
paths that name a bot:  /right  /chunked  /content-type (it lies)  /first-resets (only the second question is answered)
paths that name none:   /status (500)  /wrong-json  /no-object  /large (10 MB)  /gzip  /redirect (to /right)  /closes (without a word)
                        /hang (for ever)  /drip (a byte at a time, for ever)  /victim (an address that nobody may be led to)"""

import argparse
import gzip
import json
import re
import socket
import socketserver
import struct
import sys
import threading
import time

FIELDS = ["From", "To", "Direction", "FlowId", "SessionId", "ServerId"]
LOCK = threading.Lock()


def judge(line, headers, body):
    """What is wrong with a question, as sentences."""
    wrong = []
    if not re.fullmatch(r"POST /\S* HTTP/1\.1", line):
        wrong.append(f"the request line is {line!r}")
    names = [name for name, _ in headers]
    for name in ("host", "content-length", "content-type"):
        if names.count(name) != 1:
            wrong.append(f"{name} is there {names.count(name)} times")
    if not dict(headers).get("content-type", "").startswith("application/json"):
        wrong.append("the content-type is not application/json")
    try:
        pairs = json.loads(body, object_pairs_hook=list)
    except ValueError as error:
        return [*wrong, f"the body is not JSON: {error}"]
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        return [*wrong, "the body is not an object"]
    if [key for key, _ in pairs] != FIELDS:
        wrong.append(f"the fields are {[key for key, _ in pairs]}")
    wrong += [f"{key} is not a string" for key, value in pairs if not isinstance(value, str)]
    fields = dict(pairs)
    if fields.get("Direction") != "inbound":
        wrong.append("Direction is not inbound")
    if not re.fullmatch(r"\d+\.\d+", str(fields.get("SessionId"))):
        wrong.append("SessionId is not seconds, a point and a number")
    wrong += [f"{key} is empty" for key in ("From", "To", "FlowId", "ServerId") if not fields.get(key)]
    return wrong


class Question(socketserver.BaseRequestHandler):
    """One connection with one question."""

    def handle(self):
        self.request.settimeout(60)
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.request.recv(4096)
            if not piece:
                return
            data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (row.partition(":") for row in rest)]
        length = int(dict(headers).get("content-length", "0"))
        while len(body) < length:
            body += self.request.recv(4096)
        mode = line.split(" ")[1].lstrip("/").split("?")[0]
        wrong = judge(line, headers, body)
        with LOCK:
            nth = self.server.asked[mode] = self.server.asked.get(mode, 0) + 1
            print("ASKED", json.dumps({"mode": mode, "ok": not wrong, "violations": wrong}), flush=True)
        try:
            self.reply(mode, nth)
        except OSError:
            pass

    def reply(self, mode, nth):
        args = self.server.args
        answer = {
            "url": args.victim if mode == "victim" else args.bot,
            "wsHeaders": {"Authorization": "Bearer YOUR_TOKEN"},
            "audioFormat": {"encoding": "pcm", "sampleRate": 8000},
            "custom_params": {"tier": "gold"},
        }
        body = json.dumps(answer).encode()
        if mode in ("right", "victim") or (mode == "first-resets" and nth % 2 == 0):
            self.send("200 OK", body)
        elif mode == "first-resets":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
        elif mode == "content-type":
            self.send("200 OK", body, "Content-Type: text/html; charset=latin-1")
        elif mode == "chunked":
            self.request.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(body), 7):
                piece = body[at : at + 7]
                self.request.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                time.sleep(0.005)
            self.request.sendall(b"0\r\n\r\n")
        elif mode == "status":
            self.send("500 Internal Server Error", body)
        elif mode == "wrong-json":
            self.send("200 OK", body[:-1])
        elif mode == "no-object":
            self.send("200 OK", json.dumps([answer]).encode())
        elif mode == "large":
            self.send("200 OK", json.dumps({**answer, "pad": "x" * 10_000_000}).encode())
        elif mode == "gzip":
            self.send("200 OK", gzip.compress(body), "Content-Encoding: gzip")
        elif mode == "redirect":
            self.send("302 Found", body, f"Location: http://127.0.0.1:{self.server.server_address[1]}/right")
        elif mode == "hang":
            self.request.recv(1)
        elif mode == "drip":
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                self.request.sendall(b" ")
                time.sleep(0.1)

    def send(self, status, body, header="Content-Type: application/json"):
        self.request.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{header}\r\n\r\n".encode() + body)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bot", default="ws://127.0.0.1:1/", help="the address that good answers name")
    parser.add_argument("--victim", default="ws://127.0.0.1:1/", help="the address that /victim names")
    with Server(("127.0.0.1", 0), Question) as server:
        server.args, server.asked = parser.parse_args(), {}
        print("LISTENING", server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
