#!/usr/bin/env python3
"""A foreign bot of the smartpbx dialect (seed 004) that speaks opus: each packet is decoded by libopus, and echoed as a packet of its own."""

import base64
import json

from av.error import FFmpegError

from botserver import BotCall, main
from judge import audio_payload, parse_object, short
from opus import RATE, Opus


class SmartPbxOpus(BotCall):
    dialect, rate = "smartpbx", RATE

    def __init__(self, *args):
        super().__init__(*args)
        self.judge.rate, self.opus = self.rate, Opus()

    async def on_text(self, message):
        judge = self.judge
        msg = parse_object(judge, message)
        if msg is None:
            return
        event = msg.get("event")
        if event == "start":
            judge.expect(judge.start is None, "a second start")
            form = msg.get("start", {}).get("mediaFormat")
            judge.expect(form == {"encoding": "opus", "sampleRate": 48000}, f"start.mediaFormat: {short(form)}")
            self.started(msg)
        elif event == "media" and judge.expect(judge.start is not None, "media before the start"):
            await self.on_media(audio_payload(judge, "media.payload", msg.get("media", {}).get("payload", "")))
        elif event == "dtmf":
            self.heard_digit(str(msg.get("dtmf", {}).get("digit")))
        elif event == "hangup":
            judge.end["hangup"] = msg

    async def on_media(self, packet):
        try:
            samples = self.opus.decode(packet)
        except FFmpegError as error:
            self.judge.violation(f"media.payload is no packet of opus: {error}")
            return
        await self.heard_audio(len(packet), samples, lambda: self.send_audio(samples))

    async def send_audio(self, samples):
        for packet in self.opus.encode(samples):
            await self.send(json.dumps({"event": "media", "media": {"payload": base64.b64encode(packet).decode()}}))

    async def hangup(self):
        await self.ws.close(1000)

    def at_end(self):
        if self.judge.end.get("hangup_by") != "bot":
            self.judge.expect("hangup" in self.judge.end, "hangup is missing")


if __name__ == "__main__":
    main(SmartPbxOpus)
