"""A tiny SIP answerer for the self-test (UDP, one file, no retransmissions): right by default, wrong in one named way."""

import asyncio
import json
import pathlib
import re
import secrets
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent.parent
REFUSALS = {"nobody": "404 Not Found", "busy": "486 Busy Here", "full": "503 Service Unavailable"}
MIRROR = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive", "sendrecv": "sendrecv"}


class RtpEcho(asyncio.DatagramProtocol):
    def __init__(self, fault):
        self.fault, self.n = fault, 0

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, addr):
        self.n += 1
        if self.fault == "drops one packet in 20" and self.n % 20 == 0:
            return
        if self.fault == "sends silence":
            data = data[:12] + b"\xff" * (len(data) - 12)
        self.transport.sendto(data, addr)


class FakeSip(asyncio.DatagramProtocol):
    """Users: echo answers, ring only rings, them hangs up after a second, nobody/busy/full refuse."""

    def __init__(self, fault=None):
        self.fault, self.calls = fault, {}

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, addr):
        head, _, body = data.decode("latin-1").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line]
        method = first.split()[0]
        if not method.startswith("SIP/"):
            asyncio.ensure_future(self.request(method, first, headers, body, addr))

    def reply(self, status, headers, addr, body="", extra=""):
        out = [f"SIP/2.0 {status}"]
        for name, value in headers:
            if name.lower() in ("via", "from", "call-id", "cseq"):
                out.append(f"{name}: {value}")
            elif name.lower() == "to":
                tag = "" if ";tag=" in value or status.startswith("100") else f";tag={self.tag}"
                out.append(f"To: {value}{tag}")
        out.append(f"Contact: <sip:fake@127.0.0.1:{self.port}>")
        if extra:
            out.append(extra)
        if body:
            out.append("Content-Type: application/sdp")
        self.transport.sendto("\r\n".join([*out, f"Content-Length: {len(body)}", "", body]).encode("latin-1"), addr)

    tag = "fake1"

    def sdp(self, rtp, direction="sendrecv"):
        return (f"v=0\r\no=fake 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {rtp.port} RTP/AVP 0 101\r\n"
                f"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na={direction}\r\n")

    async def request(self, method, first, headers, body, addr):
        call_id = next(v for k, v in headers if k.lower() == "call-id")
        user = re.match(r"\S+ sips?:([^@;]*)@", first)
        if method == "INVITE":
            await self.invite(call_id, user and user[1], headers, body, addr)
        elif method == "CANCEL":
            self.reply("200 OK", headers, addr)
            invite = self.calls.pop(call_id, None)
            if isinstance(invite, list) and self.fault != "no 487":
                self.reply("487 Request Terminated", invite, addr)
        elif method == "OPTIONS":
            self.reply("200 OK", headers, addr, extra="" if self.fault == "options without Allow" else "Allow: INVITE, ACK, BYE\r\nAccept: application/sdp")
        elif method == "INFO":
            self.reply("481 Call Does Not Exist" if self.fault == "INFO refused" else "200 OK", headers, addr)
        elif method == "BYE" and self.fault != "BYE ignored":
            self.reply("200 OK", headers, addr)

    async def invite(self, call_id, user, headers, body, addr):
        direction = next((d for d in MIRROR if f"a={d}" in body), "sendrecv")
        if isinstance(rtp := self.calls.get(call_id), list):
            return  # the same INVITE again
        if rtp is not None:
            self.reply("200 OK", headers, addr, self.sdp(rtp, "sendrecv" if self.fault == "hold ignored" else MIRROR[direction]))
            return
        self.reply("100 Trying", headers, addr)
        if user in REFUSALS and self.fault != "refuses nobody":
            self.reply(REFUSALS[user], headers, addr)
            return
        media = re.search(r"m=audio \d+ RTP/AVP ([\d ]+)", body)
        if media and "0" not in media[1].split() and self.fault != "takes any codec":
            self.reply("488 Not Acceptable Here", headers, addr)
            return
        self.reply("180 Ringing", headers, addr)
        if user == "ring":
            self.calls[call_id] = headers
            return
        _, rtp = await asyncio.get_running_loop().create_datagram_endpoint(lambda: RtpEcho(self.fault), ("127.0.0.1", 0))
        self.calls[call_id] = rtp
        self.reply("200 OK", headers, addr, "" if self.fault == "no SDP" else self.sdp(rtp))
        if user == "them" and self.fault != "never hangs up":
            await asyncio.sleep(1)
            self.bye(call_id, headers, addr)

    def bye(self, call_id, headers, addr):
        value = {k.lower(): v for k, v in headers}
        self.transport.sendto("\r\n".join([
            f"BYE sip:sipp@{addr[0]}:{addr[1]} SIP/2.0", f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: {value['to']};tag={self.tag}", f"To: {value['from']}", f"Call-ID: {call_id}", "CSeq: 1 BYE", "Max-Forwards: 70",
            "Content-Length: 0", "", ""]).encode(), addr)


# What is run, at which user, with which fault, and whether it must pass.
SIP_CASES = [
    ("sipp call", "echo", None, True), ("sipp call", "echo", "no SDP", False), ("sipp call", "echo", "BYE ignored", False), ("sipp call", "nobody", None, False),
    ("sipp call-them", "them", None, True), ("sipp call-them", "them", "never hangs up", False),
    ("sipp cancel", "ring", None, True), ("sipp cancel", "ring", "no 487", False),
    ("sipp hold", "echo", None, True), ("sipp hold", "echo", "hold ignored", False),
    ("sipp info", "echo", None, True), ("sipp info", "echo", "INFO refused", False),
    ("sipp no-codec", "echo", None, True), ("sipp no-codec", "echo", "takes any codec", False),
    ("sipp not-found", "nobody", None, True), ("sipp not-found", "nobody", "refuses nobody", False),
    ("sipp busy", "busy", None, True), ("sipp busy", "full", None, False), ("sipp full", "full", None, True), ("sipp full", "busy", None, False),
    ("sipp delayed-offer", "echo", None, True), ("sipp delayed-offer", "echo", "no SDP", False),
    ("sipp options", "echo", None, True), ("sipp options", "echo", "options without Allow", False),
    ("baresip", "echo", None, True), ("baresip", "echo", "drops one packet in 20", False), ("baresip", "echo", "sends silence", False), ("baresip", "nobody", None, False),
]


async def run_sip_case(case):
    """(passed as expected, what was seen)."""
    program, user, fault, good = case
    transport, sip = await asyncio.get_running_loop().create_datagram_endpoint(lambda: FakeSip(fault), ("127.0.0.1", 0))
    target = f"{user}@127.0.0.1:{sip.port}"
    try:
        if program == "baresip":
            passed, seen = await baresip(target)
        else:
            scenario = program.split()[1]
            patience = ["--", "-recv_timeout", "3000"] if scenario != "call-them" else ["--", "-timeout", "5s"]
            passed, seen = await run_it("sh", str(HERE / "sipp/run.sh"), scenario, target, "2", "10", "500", *patience)
    finally:
        transport.close()
    return passed == good, seen


async def baresip(target):
    with tempfile.TemporaryDirectory() as work:
        heard = f"{work}/heard.wav"
        passed, seen = await run_it(sys.executable, str(HERE / "baresip.py"), f"sip:{target}", "--seconds", "4", "--record", heard, "--digits", "5@1s")
        if passed:
            passed, seen = await run_it(sys.executable, str(HERE / "wavcheck.py"), str(HERE / "sounds/aperiodic.wav"), heard)
    return passed, seen


async def run_it(*command):
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    out, _ = await process.communicate()
    return process.returncode == 0, json.dumps(out.decode(errors="replace")[-400:])
