"""What the Python vendors share: command line, WebSocket client, paced caller audio, a playing ear. The dialects are in vendor_*.py."""

import argparse
import asyncio
import json
import socket
import struct
import sys
import time

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from judge import Judge
from sound import dtmf_digits, read_wav, resample, write_wav


def arguments(dialect):
    p = argparse.ArgumentParser(description=f"A foreign {dialect} vendor: dials the gateway, talks, and prints one VERDICT line.")
    p.add_argument("--url", required=True, help="ws://127.0.0.1:PORT/ws/DIALECT/BOT")
    p.add_argument("--header", action="append", default=[], help="Name: value")
    p.add_argument("--log")
    p.add_argument("--play", required=True, help="WAV that the caller says, from its beginning")
    p.add_argument("--record", help="OUT.wav: heard, in order of arrival; OUT.timeline.wav: as an ear would hear it (both 8 kHz)")
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--digits", help="512@2s: typed from 2 s on, one every 300 ms")
    p.add_argument("--from", dest="caller", default="9876543210")
    p.add_argument("--to", dest="called", default="18001234567")
    p.add_argument("--hangup-by", choices=("caller", "bot"), default="caller")
    p.add_argument("--end", choices=("stop", "close", "reset"), default="stop", help="how the caller goes")
    p.add_argument("--start-shape", choices=("seed", "live"), default="seed", help="ozonetel only")
    p.add_argument("--encoding", default="pcm16", choices=("pcm16", "g711_ulaw", "opus"), help="smartpbx only")
    p.add_argument("--other-ucid", action="store_true", help="ozonetel only: the stop names another ucid")
    p.add_argument("--no-cdr", action="store_true", help="incoming-call only: seed 003's vendor")
    p.add_argument("--wait-ms", type=float, default=0, help="silence between the connection and the first message")
    p.add_argument("--ring-seconds", type=float, default=35, help="how long an answer is waited for")
    p.add_argument("--frame-ms", type=int)
    p.add_argument("--no-pace", action="store_true", help="as fast as the socket takes it")
    p.add_argument("--max-lead-ms", type=float, help="most audio that may wait in the ear")
    a = p.parse_args()
    a.digits, _, at = (a.digits or "").partition("@")
    a.digits_at = float(at.rstrip("s") or 2)
    return a


class Ear:
    """Plays what arrives in real time, 60 ms behind the first sample, so that lead, marks and clear can be judged."""

    CUSHION = 0.06

    def __init__(self, rate):
        self.rate, self.t0 = rate, time.monotonic()
        self.pieces, self.end, self.lead_ms_max, self.dry, self.dry_ms = [], self.t0, 0.0, 0, 0.0

    def push(self, samples):
        now = time.monotonic()
        if self.end <= now:
            if self.pieces and now - self.end < 1:
                self.dry, self.dry_ms = self.dry + 1, self.dry_ms + (now - self.end) * 1000
            self.end = now + self.CUSHION
        self.pieces.append((self.end, samples))
        self.end += len(samples) / self.rate
        self.lead_ms_max = max(self.lead_ms_max, (self.end - now - self.CUSHION) * 1000)

    def clear(self):
        """Forgets what was not played."""
        now = time.monotonic()
        kept = [(at, s[: max(0, int((now - at) * self.rate))]) for at, s in self.pieces]
        self.pieces = [(at, s) for at, s in kept if len(s)]
        self.end = min(self.end, now)

    def timeline(self):
        total = int((self.end - self.t0) * self.rate) + 1
        out = np.zeros(total, "<i2")
        for at, samples in self.pieces:
            i = int(round((at - self.t0) * 8000)) * self.rate // 8000  # on the 8 kHz grid: no fraction of a sample of delay
            part = out[i : i + len(samples)]
            part[:] = samples[: len(part)]
        return out


class VendorCall:
    """The one call of a vendor. A dialect says how things are sent and judges what comes; this class acts."""

    dialect, rate, frame_ms = "", 8000, 20

    def __init__(self, ws, args, log):
        self.ws, self.args = ws, args
        self.judge = Judge("vendor", self.dialect, log)
        self.judge.rate = self.rate
        self.ear, self.heard = Ear(self.rate), []
        self.ready, self.talk_over = asyncio.Event(), asyncio.Event()
        self.bot_hung_up, self.sent_frames, self.tasks = False, 0, []
        self.frame_ms = args.frame_ms or self.frame_ms

    # -- what a dialect fills in --
    async def begin(self): ...
    async def on_text(self, text): ...
    async def on_binary(self, data): self.judge.violation(f"binary message of {len(data)} bytes in a text dialect")
    async def send_frame(self, samples): ...
    async def send_digit(self, digit): ...
    async def goodbye(self): ...
    def at_end(self): ...

    async def send(self, data):
        """Sends unless the other end closed: what it said before that is still to be read and judged."""
        try:
            await self.ws.send(data)
        except ConnectionClosed:
            pass

    async def say(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        self.judge.note("out", text[:200])
        await self.send(text)

    async def run(self):
        judge, args = self.judge, self.args
        listening = asyncio.create_task(self.listen())
        try:
            await asyncio.sleep(args.wait_ms / 1000)
            await self.begin()
            await asyncio.wait_for(self.ready.wait(), args.ring_seconds)
            judge.count_audio_from_now()
            talking = [asyncio.create_task(self.talk()), asyncio.create_task(self.type_digits())]
            patience = args.seconds + (3 if args.no_pace or args.hangup_by == "caller" else 0)
            try:
                await asyncio.wait_for(self.talk_over.wait(), patience)
            except TimeoutError:
                judge.expect(args.hangup_by == "caller", f"the bot did not hang up in {args.seconds} s")
            for task in talking:
                task.cancel()
            await asyncio.gather(*talking, return_exceptions=True)
            await self.leave()
        except (ConnectionClosed, TimeoutError) as e:
            judge.violation(f"the call broke: {type(e).__name__} {e}")
        try:
            await asyncio.wait_for(asyncio.shield(listening), 6)
        except TimeoutError:
            judge.violation("the gateway did not close within 6 s of the end")
            listening.cancel()
            self.ws.transport.abort()
        self.finish()

    async def leave(self):
        judge, how = self.judge, self.args.end
        if self.ws.close_code is not None:
            return
        judge.end.setdefault("hangup_by", "bot" if self.bot_hung_up else "caller")
        if how == "reset":
            sock = self.ws.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.ws.transport.abort()
        elif how == "close":
            await self.ws.close(1000)
        else:
            await self.goodbye()

    async def listen(self):
        try:
            async for message in self.ws:
                await (self.on_text(message) if isinstance(message, str) else self.on_binary(message))
        except ConnectionClosed:
            pass
        if not self.talk_over.is_set():
            self.judge.end.setdefault("hangup_by", "bot")
            self.judge.expect(self.args.hangup_by == "bot", "the gateway closed in the middle of the call")
        self.talk_over.set()

    async def talk(self):
        """Sends the caller's audio; frame n leaves at t0 + n * frame, however late the one before it was."""
        samples, _ = read_wav(self.args.play, self.rate)
        size = self.rate * self.frame_ms // 1000
        t0 = time.monotonic()
        for n in range(int(self.args.seconds * 1000 / self.frame_ms)):
            if not self.args.no_pace and (wait := t0 + n * self.frame_ms / 1000 - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            i = n * size % max(size, len(samples) - size)
            await self.send_frame(samples[i : i + size])
            self.sent_frames += 1
        if self.args.hangup_by == "caller":
            self.talk_over.set()

    async def type_digits(self):
        await asyncio.sleep(self.args.digits_at)
        for digit in self.args.digits:
            await self.send_digit(digit)
            await asyncio.sleep(0.3)

    def heard_audio(self, nbytes, samples):
        judge = self.judge
        judge.expect(not self.bot_hung_up, "audio after the bot's hang-up")
        judge.audio(nbytes, len(samples))
        self.heard.append(samples)
        self.ear.push(samples)

    def heard_hangup(self):
        self.judge.expect(not self.bot_hung_up, "a second hang-up")
        self.judge.expect(self.args.hangup_by == "bot", "a hang-up that was not expected")
        self.bot_hung_up = True
        self.talk_over.set()

    def finish(self):
        judge, args, ear = self.judge, self.args, self.ear
        for task in self.tasks:
            task.cancel()
        judge.end["close_code"] = self.ws.close_code
        heard = np.concatenate(self.heard) if self.heard else np.zeros(0, "<i2")
        if args.end != "reset":
            judge.expect(self.ws.close_code in (1000, 1001), f"the connection ended with {self.ws.close_code}")
        self.at_end()
        if args.max_lead_ms is not None:
            judge.expect(ear.lead_ms_max <= args.max_lead_ms, f"lead: {ear.lead_ms_max:.0f} ms of audio waited in the ear")
        judge.extra |= {
            "lead_ms_max": round(ear.lead_ms_max), "dry": ear.dry, "dry_ms": round(ear.dry_ms),
            "sent_ms": self.sent_frames * self.frame_ms, "digits_inband": dtmf_digits(heard, self.rate),
        }
        if args.record:
            write_wav(args.record, resample(heard, self.rate, 8000), 8000)
            stem = args.record.removesuffix(".wav")
            write_wav(f"{stem}.timeline.wav", resample(ear.timeline(), self.rate, 8000), 8000)


async def dial(call_class):
    args = arguments(call_class.dialect)
    log = open(args.log, "a", encoding="utf-8") if args.log else None
    headers = [tuple(part.strip() for part in h.split(":", 1)) for h in args.header]
    try:
        ws = await connect(args.url, additional_headers=headers, compression=None, max_size=2**20, ping_interval=None)
    except Exception as e:
        verdict = {"dialect": call_class.dialect, "role": "vendor", "ok": False, "violations": [f"connect: {type(e).__name__}: {e}"]}
    else:
        call = call_class(ws, args, log)
        await call.run()
        verdict = call.judge.verdict()
    print("VERDICT " + json.dumps(verdict), flush=True)
    sys.exit(0 if verdict["ok"] else 1)


def main(call_class):
    asyncio.run(dial(call_class))
