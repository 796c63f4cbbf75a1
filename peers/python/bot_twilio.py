#!/usr/bin/env python3
"""A foreign bot of Twilio Media Streams: start, media, dtmf, mark, stop with digit strings; says media, mark, clear; hangs up by closing."""

import base64
import json

from botserver import BotCall, main
from judge import audio_payload, const, parse_object, shape, short, text
from sound import mulaw_decode, mulaw_encode

NUMBER, SID = text(r"[0-9]+"), text(r".{1,128}")
HEAD = {"sequenceNumber": NUMBER, "streamSid": SID}
SHAPES = {
    "start": HEAD | {"event": const("start"), "start": {
        "accountSid": SID, "streamSid": SID, "callSid": text(r"call_\d{13}_[0-9A-Za-z_-]{16,}"), "tracks": const(["inbound"]), "customParameters": {"from": text(r".*"), "to": text(r".*")},
        "mediaFormat": {"encoding": const("audio/x-mulaw"), "sampleRate": const(8000), "channels": const(1)}}},
    "media": HEAD | {"event": const("media"), "media": {"track": const("inbound"), "chunk": NUMBER, "timestamp": NUMBER, "payload": text()}},
    "dtmf": HEAD | {"event": const("dtmf"), "dtmf": {"track": const("inbound_track"), "digit": text("[0-9*#A-D]")}},
    "mark": HEAD | {"event": const("mark"), "mark": {"name": text()}},
    "stop": HEAD | {"event": const("stop"), "stop": {"accountSid": SID, "callSid": SID}},
}


class Twilio(BotCall):
    dialect = "twilio"
    has_marks = has_clear = True

    def __init__(self, *args):
        super().__init__(*args)
        self.sequence = self.chunk = self.samples = 0
        self.stream = None

    async def on_text(self, message):
        judge = self.judge
        msg = parse_object(judge, message)
        if msg is None:
            return
        event = msg.get("event")
        judge.note("in", message[:400] if event != "media" else event)
        if event not in SHAPES:
            judge.violation(f"unknown event {short(event)}")
            return
        judge.expect("stop" not in judge.end, f"{event} after the stop")
        if not shape(judge, event, msg, SHAPES[event]):
            return
        self.sequence += 1
        judge.expect(int(msg["sequenceNumber"]) == self.sequence, f"{event}.sequenceNumber {msg['sequenceNumber']}, expected {self.sequence}")
        if event == "start":
            self.on_start(msg)
            return
        judge.expect(msg["streamSid"] == self.stream, f"{event}.streamSid differs from the start's")
        if event == "media":
            await self.on_media(msg["media"])
        elif event == "dtmf":
            self.heard_digit(msg["dtmf"]["digit"])
        elif event == "mark":
            self.heard_mark(msg["mark"]["name"])
        else:
            judge.expect(msg["stop"]["callSid"] == judge.start["start"]["callSid"], "stop.callSid differs from the start's")
            judge.end["stop"] = msg

    def on_start(self, msg):
        judge, args = self.judge, self.args
        judge.expect(judge.start is None, "a second start")
        self.stream = msg["streamSid"]
        judge.expect(msg["start"]["streamSid"] == self.stream, "start.streamSid differs")
        for key, want in (("from", args.expect_from), ("to", args.expect_to)):
            judge.expect(want in (None, msg["start"]["customParameters"][key]), f"start.customParameters.{key}: expected {want}")
        self.started(msg)

    async def on_media(self, media):
        judge = self.judge
        self.chunk += 1
        judge.expect(int(media["chunk"]) == self.chunk, f"media.chunk {media['chunk']}, expected {self.chunk}")
        want = self.samples // 8
        judge.expect(int(media["timestamp"]) == want, f"media.timestamp {media['timestamp']}, expected {want}")
        data = audio_payload(judge, "media.payload", media["payload"])
        self.samples += len(data)
        await self.heard_audio(len(data), mulaw_decode(data), lambda: self.payload(data))

    async def payload(self, data):
        await self.send(json.dumps({"event": "media", "streamSid": self.stream, "media": {"payload": base64.b64encode(data).decode()}}))

    async def send_audio(self, samples):
        for i in range(0, len(samples), 800):
            await self.payload(mulaw_encode(samples[i : i + 800].astype("<i2")))

    async def send_mark(self, name):
        await self.say(json.dumps({"event": "mark", "streamSid": self.stream, "mark": {"name": name}}))

    async def send_clear(self):
        await self.say(json.dumps({"event": "clear", "streamSid": self.stream}))

    async def hangup(self):
        await self.ws.close(1000)

    def at_end(self):
        if self.judge.end.get("hangup_by") != "bot":
            self.judge.expect("stop" in self.judge.end, "stop is missing")


if __name__ == "__main__":
    main(Twilio)
