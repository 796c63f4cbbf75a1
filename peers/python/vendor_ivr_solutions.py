#!/usr/bin/env python3
"""A foreign ivr-solutions platform (seed 000, §4 to §7): holds the phone, dials the gateway as if that were the customer's bot."""

import asyncio
import base64
import json
import secrets
import time

import numpy as np

from judge import any_of, audio_payload, const, parse_object, shape, short, text
from vendorclient import VendorCall, main

NUMBER = text(r"\+?[0-9*#]{1,32}")
# Numbers of §7: one string, or an array of them.
DESTINATION = any_of(NUMBER, lambda v: None if isinstance(v, list) and v and all(NUMBER(n) is None for n in v) else "expected an array")
COMMANDS = {
    "response.audio.delta": {"type": text(), "delta": text(r".*")},
    "session.hangup": {"type": text()},
    "session.dtmf": {"type": text(), "dtmf": text(r"[0-9*#A-D,w]{1,64}")},
    "audio.clear": {"type": text()},
    "session.transfer": {"type": text(), "destination": DESTINATION, "strategy?": const("sequential")},
    "session.transfer_ws": {"type": text(), "url": text(r"wss?://.+")},
    "session.flow_transfer": {"type": text(), "flow_id": text()},
    "session.transfer_extension": {"type": text(), "extension": text()},
}


class IvrSolutions(VendorCall):
    dialect = "ivr-solutions"

    def __init__(self, *args):
        super().__init__(*args)
        self.sid = f"{int(time.time())}.{secrets.randbelow(900) + 100}"
        self.call_sid = f"call_{int(time.time() * 1000)}_{secrets.token_hex(12)}"
        self.sequence = self.chunk = 0
        self.pending = []
        self.transfers = 0

    def event(self, name, body):
        self.sequence += 1
        return {"event": name, "sequence_number": self.sequence, "stream_sid": self.sid, name: body}

    async def begin(self):
        await self.say('{ "event": "connected" }')
        start = self.event("start", {"stream_sid": self.sid, "call_sid": self.call_sid, "from": self.args.caller, "to": self.args.called,
                                     "media_format": {"encoding": "raw/slin", "sample_rate": 8000}})
        self.judge.start = start
        await self.say(start)
        self.ready.set()

    async def send_frame(self, samples):
        self.chunk += 1
        await self.send(json.dumps(self.event("media", {
            "chunk": self.chunk, "timestamp": str((self.chunk - 1) * self.frame_ms), "payload": base64.b64encode(samples.tobytes()).decode()})))

    async def send_digit(self, digit):
        await self.say(self.event("dtmf", {"digit": digit, "duration": "120"}))

    async def on_binary(self, data):
        if self.judge.expect(len(data) % 2 == 0 and len(data) > 0, f"binary audio of {len(data)} bytes"):
            self.heard_audio(len(data), np.frombuffer(data, "<i2"))

    async def on_text(self, message):
        judge = self.judge
        msg = parse_object(judge, message)
        if msg is None:
            return
        kind = msg.get("type")
        judge.note("in", message[:200] if kind != "response.audio.delta" else kind)
        if msg.get("event") == "mark":
            await self.on_mark(msg)
        elif kind not in COMMANDS:
            judge.violation(f"unknown message {short(msg)}")
        elif shape(judge, kind, msg, COMMANDS[kind]):
            await self.obey(kind, msg)

    async def obey(self, kind, msg):
        judge = self.judge
        if kind == "response.audio.delta":
            data = audio_payload(judge, "delta", msg["delta"])
            if judge.expect(len(data) % 2 == 0, "delta: half a sample"):
                self.heard_audio(len(data), np.frombuffer(data, "<i2"))
        elif kind == "session.hangup":
            self.heard_hangup()
        elif kind == "session.dtmf":
            judge.digits += msg["dtmf"]
        elif kind == "audio.clear":
            judge.clears += 1
            self.ear.clear()
            for name in self.pending:
                await self.say(self.event("mark", {"name": name}))
            self.pending = []
            await self.say({"event": "clear", "stream_sid": self.sid})
        else:
            self.transfers += 1
            judge.expect(self.transfers == 1, f"{kind}: a second transfer in one call")

    async def on_mark(self, msg):
        """The seed has no mark towards the platform; this is the shape that bots of this envelope send."""
        if shape(self.judge, "mark", msg, {"event": const("mark"), "stream_sid": const(self.sid), "mark": {"name": text()}}):
            name = msg["mark"]["name"]
            self.judge.marks.append(name)
            self.pending.append(name)
            self.tasks.append(asyncio.create_task(self.answer_mark(name, self.ear.end)))

    async def answer_mark(self, name, played_at):
        await asyncio.sleep(max(0.0, played_at - time.monotonic()))
        if name in self.pending:
            self.pending.remove(name)
            await self.say(self.event("mark", {"name": name}))

    async def goodbye(self):
        await self.say(self.event("stop", {"call_sid": self.call_sid, "reason": "callended"}))
        await self.ws.close(1000)


if __name__ == "__main__":
    main(IvrSolutions)
