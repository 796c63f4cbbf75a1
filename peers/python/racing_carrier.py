"""A carrier whose numbers answer at the same moment: who of them talks is the other end's to decide.

    racing_carrier.py --legs N [--spread-ms MS] [--after-ms MS] [--seed N]

Calls come in rounds of N; all numbers of a round share all digits but the last. When the last of them rings, each
answers after --after-ms, give or take --spread-ms. A leg must then be cancelled before its answer (487, ACK), or be
acknowledged, and hung up in the end. Prints LISTENING and its port, at SIGTERM one line "VERDICT {json}" with the
rounds: the numbers that talked, how each leg ended, the Reason fields of CANCEL and BYE; and every dialog that is left.
"""
import argparse
import asyncio
import json
import random
import re
import secrets
import signal
import time

T1 = 0.5
# A leg that was hung up sooner after its answer has talked with nobody.
TALK_S = 0.4


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


class Leg:
    def __init__(self, number, invite, addr):
        self.number, self.invite, self.addr, self.tag = number, invite, addr, secrets.token_hex(4)
        self.state, self.answered_at, self.acked_at, self.over_at, self.reason = "ringing", None, None, None, None

    def talked(self):
        return self.acked_at is not None and (self.over_at or time.monotonic()) - self.acked_at >= TALK_S


class Carrier(asyncio.DatagramProtocol):
    def __init__(self, options, rtp_port):
        self.options, self.rtp_port, self.draw = options, rtp_port, random.Random(options.seed)
        self.legs, self.rounds, self.problems = {}, {}, []

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, addr):
        head, _, _ = data.decode("latin-1").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line]
        if first.startswith("SIP/"):
            return
        method = first.split()[0]
        call_id = next(value for name, value in headers if name.lower() == "call-id")
        leg = self.legs.get(call_id)
        if method == "INVITE" and leg is None:
            self.invite(call_id, re.match(r"\S+ sips?:([^@;]*)@", first)[1], headers, addr)
        elif method == "OPTIONS":
            self.reply("200 OK", headers, addr, "opt")
        elif leg is None:
            self.problems.append(f"{method} for a call that is not here")
        elif method == "CANCEL":
            self.reply("200 OK", headers, addr, leg.tag)
            if leg.state == "ringing":
                leg.state, leg.reason = "refused", self.header(headers, "reason")
                asyncio.ensure_future(self.repeat(leg, "487 Request Terminated", "", "refused"))
        elif method == "ACK":
            self.acknowledged(leg)
        elif method == "BYE":
            self.reply("200 OK", headers, addr, leg.tag)
            if leg.state in ("acked", "answered"):
                if leg.state == "answered":
                    self.problems.append(f"{leg.number} was hung up before the ACK")
                leg.state, leg.over_at, leg.reason = "over", time.monotonic(), self.header(headers, "reason")

    @staticmethod
    def header(headers, wanted):
        return next((value for name, value in headers if name.lower() == wanted), None)

    def invite(self, call_id, number, headers, addr):
        leg = self.legs[call_id] = Leg(number, headers, addr)
        self.reply("100 Trying", headers, addr, None)
        self.reply("180 Ringing", headers, addr, leg.tag)
        legs = self.rounds.setdefault(number[:-1], [])
        legs.append(leg)
        if len(legs) == self.options.legs:
            for racer in legs:
                spread = self.draw.uniform(-self.options.spread_ms, self.options.spread_ms)
                asyncio.get_running_loop().call_later((self.options.after_ms + spread) / 1000, self.answer, racer)

    def answer(self, leg):
        if leg.state == "ringing":
            leg.state, leg.answered_at = "answered", time.monotonic()
            sdp = (f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {self.rtp_port} RTP/AVP 0 101\r\n"
                   "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n")
            asyncio.ensure_future(self.repeat(leg, "200 OK", sdp, "answered"))

    async def repeat(self, leg, status, sdp, while_state):
        """A final response until its ACK, 64*T1 at most (RFC 3261 sections 13.3.1.4 and 17.2.1)."""
        wait, until = T1, time.monotonic() + 64 * T1
        while leg.state == while_state and time.monotonic() < until:
            self.reply(status, leg.invite, leg.addr, leg.tag, sdp)
            await asyncio.sleep(wait)
            wait = min(2 * wait, 4)

    def acknowledged(self, leg):
        if leg.state == "answered":
            leg.state, leg.acked_at = "acked", time.monotonic()
        elif leg.state == "refused":
            leg.state = "cancelled"

    def reply(self, status, headers, addr, tag, body=""):
        out = [f"SIP/2.0 {status}"]
        for name, value in headers:
            if name.lower() in ("via", "from", "call-id", "cseq", "record-route"):
                out.append(f"{name}: {value}")
            elif name.lower() == "to":
                out.append(f"To: {value}" if tag is None or ";tag=" in value else f"To: {value};tag={tag}")
        out.append(f"Contact: <sip:carrier@127.0.0.1:{self.port}>")
        if body:
            out.append("Content-Type: application/sdp")
        self.transport.sendto("\r\n".join([*out, f"Content-Length: {len(body)}", "", body]).encode("latin-1"), addr)

    def verdict(self):
        rounds = {}
        for name, legs in self.rounds.items():
            rounds[name] = {
                "talked": [leg.number for leg in legs if leg.talked()],
                "ends": {leg.number: leg.state for leg in legs},
                "crossed": sum(leg.answered_at is not None and not leg.talked() for leg in legs),
                "reasons": [leg.reason for leg in legs if not leg.talked()],
            }
        left = [leg.number for leg in self.legs.values() if leg.state not in ("over", "cancelled")]
        return {"rounds": rounds, "left": left, "problems": self.problems}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--legs", type=int, required=True)
    parser.add_argument("--spread-ms", type=float, default=3)
    parser.add_argument("--after-ms", type=float, default=150)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    loop = asyncio.get_running_loop()
    rtp, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
    transport, carrier = await loop.create_datagram_endpoint(
        lambda: Carrier(options, rtp.get_extra_info("sockname")[1]), ("127.0.0.1", 0))
    print(f"LISTENING {carrier.port}", flush=True)
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()
    print("VERDICT " + json.dumps(carrier.verdict()), flush=True)
    transport.close()
    rtp.close()


asyncio.run(main())
