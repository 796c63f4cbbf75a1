#!/usr/bin/env python3
"""A foreign smartpbx platform (seed 004): start, media both ways, dtmf, hangup; no mark, no clear; the bot hangs up by closing."""

import base64
import json
import secrets
import time

import numpy as np
from av.error import FFmpegError

from judge import audio_payload, const, parse_object, shape, short, text
from opus import Opus
from sound import mulaw_decode, mulaw_encode
from vendorclient import VendorCall, main

MEDIA = {"event": const("media"), "media": {"payload": text(r".*")}}


class SmartPbx(VendorCall):
    dialect = "smartpbx"

    def __init__(self, ws, args, log):
        self.mulaw = args.encoding == "g711_ulaw"
        self.opus = Opus() if args.encoding == "opus" else None
        self.rate = {"g711_ulaw": 8000, "pcm16": 24000, "opus": 48000}[args.encoding]
        super().__init__(ws, args, log)
        self.ids = {"callId": f"call_{int(time.time() * 1000)}_{secrets.token_hex(12)}", "otherLegCallId": f"call_{secrets.token_hex(12)}"}

    async def begin(self):
        numbers = {"callerIdNumber": e164(self.args.caller), "calleeIdNumber": e164(self.args.called), "accountId": "acc_abc123"}
        start = {"event": "start", "start": self.ids | numbers | {"mediaFormat": {"encoding": self.args.encoding, "sampleRate": self.rate}}}
        self.judge.start = start
        await self.say(start)
        self.ready.set()

    async def send_frame(self, samples):
        pieces = self.opus.encode(samples) if self.opus else [mulaw_encode(samples) if self.mulaw else samples.tobytes()]
        for data in pieces:
            await self.send(json.dumps({"event": "media", "media": {"payload": base64.b64encode(data).decode()}}))

    async def send_digit(self, digit):
        await self.say({"event": "dtmf", "dtmf": self.ids | {"digit": digit, "duration": 100}})

    async def on_text(self, message):
        judge = self.judge
        msg = parse_object(judge, message)
        if msg is None:
            return
        if msg.get("event") != "media":
            judge.violation(f"unknown message {short(msg)}: a bot sends media and nothing else")
        elif shape(judge, "media", msg, MEDIA):
            data = audio_payload(judge, "media.payload", msg["media"]["payload"])
            if self.opus:
                try:
                    samples = self.opus.decode(data)
                except FFmpegError as error:
                    judge.violation(f"media.payload is no packet of opus: {error}")
                    return
                judge.expect(len(samples) == 960, f"a packet of {len(samples)} samples, expected 20 ms")
                self.heard_audio(len(data), samples)
            elif self.mulaw:
                self.heard_audio(len(data), mulaw_decode(data))
            elif judge.expect(len(data) % 2 == 0, "media.payload: half a sample"):
                self.heard_audio(len(data), np.frombuffer(data, "<i2"))

    async def goodbye(self):
        await self.say({"event": "hangup", "hangup": self.ids | {"reason": "NORMAL_CLEARING"}})
        await self.ws.close(1000)


def e164(number):
    return number if number.startswith("+") else f"+{number}"


if __name__ == "__main__":
    main(SmartPbx)
