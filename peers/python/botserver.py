"""What the Python bots share: command line, WebSocket server, behaviours, the scripted call. The dialects are in bot_*.py."""

import argparse
import asyncio
import json
import signal
import socket
import struct
import sys

import numpy as np
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from judge import Judge
from sound import dtmf_tone, read_wav, resample, tone, write_wav

BEHAVIOURS = """echo | script | seed | wait-answer=S | hangup-after=S | close-CODE=S | reset=S; several joined by commas"""


def arguments(dialect):
    p = argparse.ArgumentParser(description=f"A foreign {dialect} bot. Prints LISTENING port, then one VERDICT line a call.")
    p.add_argument("--listen", default="127.0.0.1:0")
    p.add_argument("--log", help="JSON lines of everything heard and said (audio as its length)")
    p.add_argument("--play", help="WAV said right after the start, in one burst, before the echo begins")
    p.add_argument("--record", help="WAV of what the caller said, in order of arrival (8 kHz); %%n is the call's number")
    p.add_argument("--behaviour", default="echo", help=BEHAVIOURS)
    p.add_argument("--calls", type=int, default=0, help="exit after so many calls; 0 = at SIGTERM")
    p.add_argument("--frame-ms", type=int, help="expected caller audio per message")
    p.add_argument("--pace-tolerance-ms", type=float, default=250, help="0 = do not judge the pace")
    p.add_argument("--max-gap-ms", type=float, help="longest pause between audio messages")
    p.add_argument("--expect-header", action="append", default=[], help="Name: value, that the handshake must carry")
    p.add_argument("--expect-from")
    p.add_argument("--expect-to")
    p.add_argument("--any-number", action="store_true", help="incoming-call: the called number may be empty")
    p.add_argument("--no-cdr", action="store_true", help="incoming-call: the gateway sends no cdr (seed 003)")
    p.add_argument("--seqid", action="store_true", help="ozonetel: label audio with seqid and expect its acks")
    a = p.parse_args()
    a.behaviour = dict(part.partition("=")[::2] for part in a.behaviour.replace(" ", "=").split(","))
    for name in a.behaviour:
        if name not in ("echo", "script", "seed", "wait-answer", "hangup-after", "reset") and not name.startswith("close-"):
            p.error(f"unknown behaviour {name!r}: {BEHAVIOURS}")
    return a


class BotCall:
    """One call of a bot. A dialect says how things are sent and judges what comes; this class acts."""

    dialect, rate, frame_ms = "", 8000, 20
    has_marks = has_clear = False

    def __init__(self, ws, number, args, log):
        self.ws, self.number, self.args = ws, number, args
        self.judge = Judge("bot", self.dialect, log)
        self.heard, self.echoing, self.over = [], True, False
        self.digits_512 = asyncio.Event()
        self.judge.extra["path"] = ws.request.path
        for name, _, want in (h.partition(":") for h in args.expect_header):
            self.judge.expect(ws.request.headers.get(name.strip()) == want.strip(), f"header {name} is not as configured")
        self.mark_times = {}
        self.script_done = False
        self.silent_until = 0.0
        self.tasks = []

    # -- what a dialect fills in --
    async def on_text(self, text): ...
    async def on_binary(self, data): self.judge.violation(f"binary message of {len(data)} bytes in a text dialect")
    async def send_audio(self, samples): ...
    async def send_digit(self, digit): await self.send_audio(dtmf_tone(digit, 200, self.rate))
    async def send_mark(self, name): ...
    async def send_clear(self): ...
    async def hangup(self): ...
    async def seed_examples(self): ...
    def at_end(self): ...

    # -- the course of a call --
    async def run(self):
        try:
            async for message in self.ws:
                await (self.on_text(message) if isinstance(message, str) else self.on_binary(message))
        except ConnectionClosed:
            pass
        self.finish()

    def finish(self):
        if self.over:
            return
        self.over = True
        for task in self.tasks:
            task.cancel()
        judge, args = self.judge, self.args
        judge.end["close_code"] = self.ws.close_code
        if judge.start is None:
            judge.violation("the call never started")
        if not {"reset"} & args.behaviour.keys():
            self.at_end()
            judge.expect(self.ws.close_code != 1006, "the connection ended without a close frame")
        judge.check_pace(args.pace_tolerance_ms)
        if args.max_gap_ms is not None:
            judge.expect(judge.gap_ms_max <= args.max_gap_ms, f"gap: {judge.gap_ms_max:.0f} ms between audio messages")
        if "script" in args.behaviour:
            judge.expect(self.digits_512.is_set(), "script: the digits 512 did not arrive")
            judge.expect(self.script_done, "script: not finished before the call ended")
        if args.record:
            samples = np.concatenate(self.heard) if self.heard else np.zeros(0, "<i2")
            write_wav(args.record.replace("%n", str(self.number)), resample(samples, self.rate, 8000), 8000)

    async def send(self, data):
        """Sends unless the other end closed: what it said before that is still to be read and judged."""
        try:
            await self.ws.send(data)
        except ConnectionClosed:
            pass

    async def say(self, text):
        """Sends one text message (and logs it)."""
        self.judge.note("out", text[:200])
        await self.send(text)

    def started(self, start):
        """The dialect saw its start (and, where there is one, sent the answer): behaviours begin."""
        self.judge.start = start
        self.judge.count_audio_from_now()
        for name, value in self.args.behaviour.items():
            if name == "script":
                self.spawn(self.script())
            elif name == "seed":
                self.spawn(self.seed_examples())
            elif name not in ("echo", "wait-answer"):
                self.spawn(self.later(name, float(value or 1)))
        if self.args.play:
            samples, _ = read_wav(self.args.play, self.rate)
            self.spawn(self.send_audio(samples))
            self.silent_until = self.judge.ms() + len(samples) * 1000 / self.rate

    def spawn(self, coroutine):
        self.tasks.append(asyncio.create_task(coroutine))

    async def later(self, name, seconds):
        await asyncio.sleep(seconds)
        self.judge.note("note", f"behaviour {name}")
        if name == "hangup-after":
            self.judge.end["hangup_by"] = "bot"
            await self.hangup()
        elif name == "reset":
            sock = self.ws.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.ws.transport.abort()
        else:
            self.judge.end["hangup_by"] = "bot"
            await self.ws.close(int(name[6:]))

    async def heard_audio(self, nbytes, samples, raw_echo):
        """Caller audio arrived; `raw_echo` sends it back just as it came."""
        want = self.args.frame_ms or self.frame_ms
        self.judge.audio(nbytes, len(samples))
        self.judge.expect(len(samples) * 1000 == want * self.rate, f"audio message of {len(samples)} samples, expected {want} ms")
        if self.args.record:
            self.heard.append(samples)
        if self.echoing and self.judge.ms() >= self.silent_until:
            await raw_echo()

    def heard_digit(self, digit):
        self.judge.digits.append(digit)
        if "".join(self.judge.digits).endswith("512"):
            self.digits_512.set()

    def heard_mark(self, name):
        self.judge.marks.append(name)
        self.mark_times[name] = self.judge.ms()

    async def until(self, condition, seconds, what):
        deadline = self.judge.ms() + seconds * 1000
        while not condition():
            if self.judge.ms() > deadline:
                self.judge.violation(f"script: {what}")
                return False
            await asyncio.sleep(0.005)
        return True

    async def script(self):
        """The scripted call: after 512, audio with a mark, a digit, a clear that cuts 3 s short, a mark with nothing before it."""
        await self.digits_512.wait()
        judge, self.echoing = self.judge, False
        sent = judge.ms()
        await self.send_audio(tone(1000, 500, self.rate))
        if self.has_marks:
            await self.send_mark("m1")
            if await self.until(lambda: "m1" in self.mark_times, 3, "mark m1 was not answered in 3 s"):
                took = self.mark_times["m1"] - sent
                judge.extra["mark_ms"] = round(took)
                judge.expect(took >= 420, f"script: mark m1 came {took:.0f} ms after 500 ms of audio were sent, before they were played")
                judge.expect(took <= 1500, f"script: mark m1 came {took:.0f} ms after 500 ms of audio were sent, long after they were played")
        else:
            await asyncio.sleep(0.6)
        await self.send_digit("7")
        await asyncio.sleep(0.4)
        if self.has_clear:
            await self.scripted_clear()
        if self.has_marks:
            sent = judge.ms()
            await self.send_mark("m4")
            if await self.until(lambda: "m4" in self.mark_times, 1, "mark m4 (nothing before it) was not answered"):
                took = self.mark_times["m4"] - sent
                judge.expect(took <= 250, f"script: mark m4 (nothing before it) took {took:.0f} ms")
        self.echoing = self.script_done = True
        judge.note("note", "script done")

    async def scripted_clear(self):
        """Neither wire here tells of a clear: whether it was honoured is heard at the other end."""
        await self.send_audio(tone(1500, 3000, self.rate))
        await asyncio.sleep(0.3)
        await self.send_clear()
        await asyncio.sleep(0.3)


async def serve_bot(call_class):
    args = arguments(call_class.dialect)
    log = open(args.log, "a", encoding="utf-8") if args.log else None
    verdicts, open_calls, done = [], set(), asyncio.Event()
    count = 0

    def judged(call):
        open_calls.discard(call)
        verdicts.append(call.judge.verdict())
        print("VERDICT " + json.dumps(verdicts[-1]), flush=True)
        if args.calls and len(verdicts) >= args.calls:
            done.set()

    async def on_connection(ws):
        nonlocal count
        count += 1
        call = call_class(ws, count, args, log)
        open_calls.add(call)
        try:
            await call.run()
        finally:
            call.finish()
            if call in open_calls:
                judged(call)

    host, _, port = args.listen.rpartition(":")
    async with serve(on_connection, host, int(port), compression=None, max_size=2**20, ping_interval=None) as server:
        print(f"LISTENING {server.sockets[0].getsockname()[1]}", flush=True)
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, done.set)
        await done.wait()
        for call in list(open_calls):
            call.judge.violation("the call was still open when the bot was stopped")
            call.finish()
            judged(call)
        server.close(close_connections=True)
    sys.exit(0 if verdicts and all(v["ok"] for v in verdicts) else 1)


def main(call_class):
    asyncio.run(serve_bot(call_class))
