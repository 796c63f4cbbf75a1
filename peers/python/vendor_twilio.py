#!/usr/bin/env python3
"""A foreign Twilio Media Streams: connected, start, media, dtmf, mark, stop; hears media, mark, clear; a bot hangs up by closing."""

import asyncio
import base64
import json
import secrets
import time

from judge import audio_payload, const, parse_object, shape, short, text
from sound import mulaw_decode, mulaw_encode
from vendorclient import VendorCall, main

# A bot may name the stream; nothing here asks it to.
SAID = {
    "media": {"event": const("media"), "streamSid?": text(), "media": {"payload": text()}},
    "mark": {"event": const("mark"), "streamSid?": text(), "mark": {"name": text()}},
    "clear": {"event": const("clear"), "streamSid?": text()},
}


class Twilio(VendorCall):
    dialect = "twilio"

    def __init__(self, ws, args, log):
        super().__init__(ws, args, log)
        self.stream, self.call = "MZ" + secrets.token_hex(16), "CA" + secrets.token_hex(16)
        self.sequence = self.chunk = 0
        self.waiting = []

    def numbered(self, event, **fields):
        self.sequence += 1
        return {"event": event, "sequenceNumber": str(self.sequence), "streamSid": self.stream, **fields}

    async def begin(self):
        await self.say({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = self.numbered("start", start={
            "accountSid": "AC" + "0" * 32, "streamSid": self.stream, "callSid": self.call, "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"from": self.args.caller, "to": self.args.called}})
        self.judge.start = start
        await self.say(start)
        self.ready.set()

    async def send_frame(self, samples):
        self.chunk += 1
        await self.send(json.dumps(self.numbered("media", media={
            "track": "inbound", "chunk": str(self.chunk), "timestamp": str((self.chunk - 1) * self.frame_ms),
            "payload": base64.b64encode(mulaw_encode(samples)).decode()})))

    async def send_digit(self, digit):
        await self.say(self.numbered("dtmf", dtmf={"track": "inbound_track", "digit": digit}))

    async def on_text(self, message):
        judge = self.judge
        msg = parse_object(judge, message)
        if msg is None:
            return
        event = msg.get("event")
        if event not in SAID or not shape(judge, event, msg, SAID[event]):
            judge.violation(f"unknown message {short(msg)}")
        elif event == "media":
            data = audio_payload(judge, "media.payload", msg["media"]["payload"])
            self.heard_audio(len(data), mulaw_decode(data))
        elif event == "mark":
            name = msg["mark"]["name"]
            judge.marks.append(name)
            self.waiting.append(name)
            self.tasks.append(asyncio.create_task(self.answer_mark(name, self.ear.end)))
        else:
            judge.clears += 1
            self.ear.clear()
            for name in self.waiting:
                await self.say(self.numbered("mark", mark={"name": name}))
            self.waiting = []

    async def answer_mark(self, name, played_at):
        await asyncio.sleep(max(0.0, played_at - time.monotonic()))
        if name in self.waiting:
            self.waiting.remove(name)
            await self.say(self.numbered("mark", mark={"name": name}))

    async def goodbye(self):
        await self.say(self.numbered("stop", stop={"accountSid": "AC" + "0" * 32, "callSid": self.call}))
        await self.ws.close(1000)


if __name__ == "__main__":
    main(Twilio)
