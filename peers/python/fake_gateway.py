"""A tiny gateway of our own making for the self-test: right by default, wrong in one chosen way. Not the product, and no model for it.

Towards bots it is a WebSocket client (`call_bot`), towards vendors a server (`answer_vendor`). A fault is a function that sees each
message before it is sent, `fault(kind, n, message)` with n counting from 1 per kind, and returns what is sent instead (a message, a
list of them, or None); or a flag, one of the words that the code below asks for with `self.flag(...)`."""

import asyncio
import base64
import copy
import json
import secrets
import time
from datetime import datetime, timezone

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from sound import DtmfDetector, dtmf_tone, read_wav, resample


def iso(at):
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Faulty:
    """Sending through the fault."""

    def __init__(self, ws, fault):
        self.ws, self.fault, self.counts = ws, fault, {}

    def flag(self, name):
        return self.fault == name

    async def send(self, kind, message):
        self.counts[kind] = n = self.counts.get(kind, 0) + 1
        out = self.fault(kind, n, copy.deepcopy(message)) if callable(self.fault) else message
        for m in out if isinstance(out, list) else [out]:
            if m is not None:
                await self.ws.send(m if isinstance(m, (bytes, str)) else json.dumps(m))


class Playout:
    """When the sample that was pushed last will have been played; marks wait for it."""

    def __init__(self):
        self.end, self.marks = 0.0, []

    def push(self, seconds):
        self.end = max(self.end, time.monotonic()) + seconds


class ToBot(Faulty):
    """One call to a bot: audio, the digits 512, whatever the bot asks for, then the caller hangs up (or the bot did)."""

    rate, frame_ms = 8000, 20
    ids = {"from": "9876543210", "to": "18001234567"}

    def __init__(self, ws, fault, wav, seconds):
        super().__init__(ws, fault)
        self.samples, self.seconds = read_wav(wav, self.rate)[0], seconds
        self.call_id = f"call_{int(time.time() * 1000)}_{secrets.token_hex(12)}"
        self.playout, self.ready, self.bot_left, self.tasks = Playout(), asyncio.Event(), asyncio.Event(), []
        self.digits_out = []

    async def begin(self): self.ready.set()
    async def frame(self, samples): ...
    async def digit(self, digit): ...
    async def heard(self, message): ...
    async def end(self): ...

    async def run(self):
        listening = asyncio.create_task(self.listen())
        try:
            await self.begin()
            await asyncio.wait_for(self.ready.wait(), 10)
            typing = asyncio.create_task(self.type_digits())
            await self.talk()
            typing.cancel()
            await self.end()
            if not self.flag("never closes"):
                await self.ws.close(1000)
            await asyncio.wait_for(listening, 3)
        except (ConnectionClosed, TimeoutError):
            pass
        for task in [listening, *self.tasks]:
            task.cancel()
        self.ws.transport.abort()

    async def type_digits(self):
        await asyncio.sleep(0.2)
        for digit in "512":
            await self.digit(digit)
            await asyncio.sleep(0.2)

    async def talk(self):
        size = self.rate * self.frame_ms // 1000
        t0 = time.monotonic()
        n = 0
        while n < self.seconds * 1000 / self.frame_ms and not self.bot_left.is_set():
            await asyncio.sleep(max(0.0, t0 + n * self.frame_ms / 1000 - time.monotonic()))
            await self.frame(self.samples[n * size : (n + 1) * size])
            n += 1

    async def listen(self):
        try:
            async for message in self.ws:
                await self.heard(message)
        except ConnectionClosed:
            pass
        self.bot_left.set()


class IvrToBot(ToBot):
    sequence = chunk = 0

    def event(self, name, body):
        self.sequence += 1
        return self.send(name, {"event": name, "sequence_number": self.sequence, "stream_sid": self.sid, name: body})

    async def begin(self):
        self.sid = f"{int(time.time())}.1"
        await self.send("connected", {"event": "connected"})
        await self.event("start", {"stream_sid": self.sid, "call_sid": self.call_id, "account_sid": "patchcord", **self.ids,
                                   "media_format": {"encoding": "raw/slin", "sample_rate": 8000}})
        self.ready.set()

    async def frame(self, samples):
        self.chunk += 1
        await self.event("media", {"chunk": self.chunk, "timestamp": str((self.chunk - 1) * 20), "payload": base64.b64encode(samples.tobytes()).decode()})

    async def digit(self, digit):
        await self.event("dtmf", {"digit": digit, "duration": "100"})

    async def heard(self, message):
        msg = {"type": "binary"} if isinstance(message, bytes) else json.loads(message)
        if isinstance(message, bytes):
            self.playout.push(len(message) / 16000)
        elif msg.get("event") == "mark":
            self.playout.marks.append(msg["mark"]["name"])
            wait = 0.0 if self.flag("marks at once") else self.playout.end - time.monotonic() + 1.2 * self.flag("marks late")
            self.tasks.append(asyncio.create_task(self.mark(msg["mark"]["name"], wait)))
        elif msg["type"] == "audio.clear" and not self.flag("clear not honoured"):
            self.playout.end = time.monotonic()
            if self.flag("clear before its marks"):
                await self.send("clear", {"event": "clear", "stream_sid": self.sid})
            marks, self.playout.marks = self.playout.marks, []
            for name in reversed(marks) if self.flag("marks out of order") else marks:
                await self.event("mark", {"name": name})
            if not self.flag("clear before its marks") and not self.flag("clear not told"):
                await self.send("clear", {"event": "clear", "stream_sid": self.sid})
        elif msg["type"] == "session.dtmf":
            self.digits_out.append(msg["dtmf"])
        elif msg["type"] == "session.hangup":
            self.bot_left.set()
        elif "transfer" in msg["type"]:
            error = {"code": "not_allowed", "message": "transfers are not set up", "command": msg["type"]}
            await self.send("error", {"event": "error", "stream_sid": self.sid, "error": error})

    async def mark(self, name, wait):
        await asyncio.sleep(max(0.0, wait))
        if name in self.playout.marks:
            self.playout.marks.remove(name)
            await self.event("mark", {"name": name})

    async def end(self):
        await self.event("stop", {"call_sid": self.call_id, "reason": "callended"})


class IncomingToBot(ToBot):
    answered_at, bot_hung_up = None, False

    async def begin(self):
        self.started_at = time.time()
        await self.send("incoming_call", {"event": "incoming_call", "callerId": self.ids["from"], "didNumber": self.ids["to"], "sessionId": self.call_id})
        if self.flag("audio before the answer"):
            await self.frame(self.samples[:160])

    async def frame(self, samples):
        await self.send("audio", samples.tobytes())

    async def digit(self, digit):
        await self.send("dtmf", {"event": "dtmf", "digit": digit})

    async def heard(self, message):
        event = "audio" if isinstance(message, bytes) else json.loads(message)["event"]
        if event == "answer":
            self.answered_at = time.time()
            self.ready.set()
        elif event == "dtmf":
            self.digits_out.append(json.loads(message)["digit"])
        elif event == "hangup":
            self.bot_hung_up = True
            self.bot_left.set()

    async def end(self):
        if not self.bot_hung_up or self.flag("hangup echoed"):
            await self.send("hangup", {"event": "hangup"})
        if self.flag("audio after the hangup"):
            await self.frame(self.samples[:160])
        end = time.time()
        await self.send("cdr", {
            "event": "cdr", "sessionId": self.call_id, "destination": self.ids["to"], "startTime": iso(self.started_at), "answerTime": iso(self.answered_at),
            "endTime": iso(end), "duration": round(end - self.started_at), "billableSeconds": round(end - self.answered_at), "disposition": "ANSWERED",
            "hangupBy": "callee" if self.bot_hung_up else "caller", "hangupCauseCode": "16", "hangupCauseText": "Normal Clearing"})
        if self.flag("hangup after the cdr"):
            await self.send("hangup", {"event": "hangup"})


class SmartPbxToBot(ToBot):
    rate = 24000

    async def begin(self):
        self.legs = {"callId": self.call_id, "otherLegCallId": "leg_1"}
        await self.send("start", {"event": "start", "start": {
            **self.legs, "callerIdNumber": "+919876543210", "calleeIdNumber": "+18001234567", "accountId": "patchcord",
            "mediaFormat": {"encoding": "pcm16", "sampleRate": 24000}}})
        self.ready.set()

    async def frame(self, samples):
        await self.send("media", {"event": "media", "media": {"payload": base64.b64encode(samples.tobytes()).decode()}})

    async def digit(self, digit):
        await self.send("dtmf", {"event": "dtmf", "dtmf": {**self.legs, "digit": digit, "duration": 100}})

    async def end(self):
        if not self.bot_left.is_set():
            await self.send("hangup", {"event": "hangup", "hangup": {**self.legs, "accountId": "patchcord", "reason": "NORMAL_CLEARING"}})


class OzonetelToBot(ToBot):
    frame_ms = 10
    tone = np.zeros(0, "<i2")

    async def begin(self):
        await self.send("start", {"event": "start", "ucid": self.call_id, "type": "text"})
        self.ready.set()

    async def frame(self, samples):
        samples = samples.copy()
        part = self.tone[: len(samples)]
        samples[: len(part)] = part
        self.tone = self.tone[len(part) :]
        await self.send("media", {"event": "media", "type": "media", "ucid": self.call_id, "data": {
            "samples": samples.tolist(), "bitsPerSample": 16, "sampleRate": 8000, "channelCount": 1, "numberOfFrames": 80, "type": "data"}})

    async def digit(self, digit):
        if not self.flag("digits lost"):
            self.tone = dtmf_tone(digit, 100)

    async def heard(self, message):
        if json.loads(message).get("command") == "callDisconnect":
            self.bot_left.set()

    async def end(self):
        await self.send("stop", {"event": "stop", "ucid": self.call_id, "type": "text"})
        await asyncio.sleep(0.5)


TO_BOT = {"ivr-solutions": IvrToBot, "incoming-call": IncomingToBot, "smartpbx": SmartPbxToBot, "ozonetel": OzonetelToBot}


async def call_bot(dialect, url, fault, wav, seconds):
    ws = await connect(url, additional_headers={"X-Test": "yes"}, compression=None, ping_interval=None)
    await TO_BOT[dialect](ws, fault, wav, seconds).run()


class ToVendor(Faulty):
    """One vendor's call: its audio comes back 40 ms later, a digit 7 goes out after 512, and it is let go properly."""

    def __init__(self, ws, fault, hangup_after):
        super().__init__(ws, fault)
        self.hangup_after, self.digits, self.detector = hangup_after, [], DtmfDetector()
        self.hung_up = False

    async def run(self):
        try:
            async for message in self.ws:
                if not await self.heard(message):
                    break
            if not self.flag("never closes"):
                await self.ws.close(1011 if self.flag("closes with 1011") else 1000)
            else:
                await asyncio.sleep(8)
        except ConnectionClosed:
            pass

    async def begun(self):
        if self.hangup_after:
            asyncio.get_running_loop().call_later(self.hangup_after, lambda: asyncio.ensure_future(self.hangup()))

    def typed(self, digit):
        self.digits.append(digit)
        return "".join(self.digits[-3:]) == "512"


class IvrToVendor(ToVendor):
    async def heard(self, message):
        msg = json.loads(message)
        if msg["event"] == "start":
            await self.begun()
        elif msg["event"] == "media" and not self.hung_up:
            await self.send("audio", base64.b64decode(msg["media"]["payload"]))
        elif msg["event"] == "dtmf" and self.typed(msg["dtmf"]["digit"]):
            await self.send("mark", {"event": "mark", "stream_sid": msg["stream_sid"], "mark": {"name": "m1"}})
            await self.send("dtmf", {"type": "session.dtmf", "dtmf": "7"})
            await self.send("clear", {"type": "audio.clear"})
        return msg["event"] != "stop"

    async def hangup(self):
        self.hung_up = True
        await self.send("hangup", {"type": "session.hangup"})


class IncomingToVendor(ToVendor):
    async def heard(self, message):
        if isinstance(message, bytes):
            if not self.hung_up:
                await self.send("audio", message)
            return True
        msg = json.loads(message)
        if msg["event"] == "incoming_call":
            if self.flag("audio before the answer"):
                await self.send("audio", bytes(320))
            await self.send("answer", {"event": "answer"})
            await self.begun()
        elif msg["event"] == "dtmf" and self.typed(msg["digit"]):
            await self.send("dtmf", {"event": "dtmf", "digit": "7", "duration": 200})
            await self.send("interrupt", {"event": "interrupt"})
        return msg["event"] != "cdr"

    async def hangup(self):
        self.hung_up = True
        await self.send("hangup", {"event": "hangup"})


class SmartPbxToVendor(ToVendor):
    tone = np.zeros(0, "<i2")

    async def heard(self, message):
        msg = json.loads(message)
        if msg["event"] == "start":
            self.rate = msg["start"]["mediaFormat"]["sampleRate"]
            await self.begun()
        elif msg["event"] == "media":
            samples = np.frombuffer(base64.b64decode(msg["media"]["payload"]), "<i2").copy()
            part = self.tone[: len(samples)]
            samples[: len(part)] = part
            self.tone = self.tone[len(part) :]
            await self.send("media", {"event": "media", "media": {"payload": base64.b64encode(samples.tobytes()).decode()}})
        elif msg["event"] == "dtmf" and self.typed(msg["dtmf"]["digit"]):
            self.tone = resample(dtmf_tone("7", 200), 8000, self.rate)
        return msg["event"] != "hangup"

    async def hangup(self):
        await self.ws.close(1000)


class OzonetelToVendor(ToVendor):
    tone = np.zeros(0, "<i2")

    async def heard(self, message):
        msg = json.loads(message)
        if msg["event"] == "start":
            await self.begun()
        elif msg["event"] == "media" and msg["data"]["sampleRate"] == 8000 and not self.hung_up:
            samples = np.array(msg["data"]["samples"], "<i2")
            if any([self.typed(d) for d in self.detector.push(samples)]):
                self.tone = dtmf_tone("7", 200)
                await self.send("command", {"command": "clearBuffer"})
            part = self.tone[:80]
            samples[: len(part)] = part
            self.tone = self.tone[80:]
            msg["data"]["samples"] = samples.tolist()
            await self.send("media", msg)
        return msg["event"] != "stop"

    async def hangup(self):
        self.hung_up = True
        await self.send("command", {"command": "callDisconnect"})


TO_VENDOR = {"ivr-solutions": IvrToVendor, "incoming-call": IncomingToVendor, "smartpbx": SmartPbxToVendor, "ozonetel": OzonetelToVendor}


async def answer_vendor(dialect, ws, fault, hangup_after=None):
    await TO_VENDOR[dialect](ws, fault, hangup_after).run()
