#!/usr/bin/env python3
"""A foreign bot on the ozonetel wire (seed 001): JSON sample arrays of 10 ms, digits as tones, stop, then the bot closes."""

import asyncio
import json
import uuid

import numpy as np

from botserver import BotCall, main
from judge import const, integer, parse_object, shape, short, text
from sound import DtmfDetector

UCID = text(r".{1,128}")
# The first three keys are the seed's; the optional ones are those that live calls carry.
START = {"event": const("start"), "ucid": UCID, "type": const("text"), "did?": text(), "call_id?": text(), "x_account?": text(), "x_headers?": text(), "media?": {
    "encoding": text(), "sampleRate": const(8000), "channels": const(1), "bitsPerSample": const(16), "payloadType": integer(0, 127)}}
MEDIA = {"event": const("media"), "type": const("media"), "ucid": UCID, "data": {
    "samples": lambda v: None if isinstance(v, list) else "expected an array", "bitsPerSample": const(16), "sampleRate": const(8000),
    "channelCount": const(1), "numberOfFrames": const(80), "type": const("data")}}
STOP = {"event": const("stop"), "ucid": UCID, "type": const("text"), "did?": text()}
ACK = {"event": const("mark"), "type": const("ack"), "ucid": UCID, "seqid": text(), "timestamp": integer(1_500_000_000_000)}


class Ozonetel(BotCall):
    dialect = "ozonetel"
    frame_ms = 10
    has_clear = True

    def __init__(self, *args):
        super().__init__(*args)
        self.detector = DtmfDetector()
        self.has_marks = self.args.seqid
        self.names = {}

    async def on_text(self, message):
        judge = self.judge
        msg = parse_object(judge, message)
        if msg is None:
            return
        event = msg.get("event")
        judge.note("in", message[:400] if event != "media" else "media")
        judge.expect("stop" not in judge.end, f"{event} after the stop")
        if event == "start":
            judge.expect(judge.start is None, "a second start")
            shape(judge, "start", msg, START)
            if self.args.expect_from:
                judge.expect(msg.get("call_id") == self.args.expect_from, f"start.call_id: expected {self.args.expect_from}")
            self.started(msg)
            return
        if not judge.expect(judge.start is not None, f"{event} before the start"):
            return
        judge.expect(msg.get("ucid") == judge.start.get("ucid"), f"{event}.ucid differs from the start's")
        if event == "media":
            await self.on_media(msg, message)
        elif event == "stop":
            shape(judge, "stop", msg, STOP)
            judge.end["stop"] = msg
            await self.ws.close(1000)
        elif event == "mark" and shape(judge, "mark", msg, ACK):
            name = self.names.get(msg["seqid"])
            if judge.expect(name is not None, "mark: a seqid that was never sent") and name:
                self.heard_mark(name)
        elif event != "mark":
            judge.violation(f"unknown event {short(event)}")

    async def on_media(self, msg, message):
        judge = self.judge
        if not shape(judge, "media", msg, MEDIA):
            return
        values = msg["data"]["samples"]
        if not all(type(v) is int and -32768 <= v <= 32767 for v in values):
            judge.violation("media.data.samples: not all are 16-bit integers")
            return
        samples = np.array(values, "<i2")
        for digit in self.detector.push(samples):
            self.heard_digit(digit)
        await self.heard_audio(len(message), samples, lambda: self.send_audio(samples))

    async def send_audio(self, samples, seqid=None):
        ucid = self.judge.start.get("ucid", "")
        for i in range(0, len(samples), 80):
            part = [int(v) for v in samples[i : i + 80]]
            part += [0] * (80 - len(part))
            msg = {"event": "media", "type": "media", "ucid": ucid, "data": {
                "samples": part, "bitsPerSample": 16, "sampleRate": 8000, "channelCount": 1, "numberOfFrames": 80, "type": "data"}}
            if self.has_marks:
                # Each packet is labelled; only those that the script names are reported as marks.
                msg["seqid"] = seqid or str(uuid.uuid4())
                self.names.setdefault(msg["seqid"], "")
            await self.send(json.dumps(msg, separators=(",", ":")))

    async def send_mark(self, name):
        """The wire has no mark of its own: one silent packet with a seqid stands for it."""
        seqid = str(uuid.uuid4())
        self.names[seqid] = name
        await self.send_audio(np.zeros(80, "<i2"), seqid)

    async def send_clear(self):
        await self.say('{"command":"clearBuffer"}')

    async def hangup(self):
        await self.say('{"command":"callDisconnect"}')

    async def seed_examples(self):
        """The seed's bot side is media alone: the echo is all of it."""

    def at_end(self):
        if not any(name.startswith("close-") for name in self.args.behaviour):
            self.judge.expect("stop" in self.judge.end, "stop is missing")


if __name__ == "__main__":
    main(Ozonetel)
