#!/usr/bin/env python3
"""A foreign engine with the beta names of OpenAI Realtime: session.update first, base64 both ways, keys as text, speech_started."""

import asyncio
import base64
import json
import re

import numpy as np

from botserver import BotCall, main
from judge import any_of, audio_payload, const, parse_object, shape, short, text
from sound import mulaw_decode, mulaw_encode

FORMAT = text("g711_ulaw|pcm16")
ANY = lambda v: None
SESSION = {"type": const("session.update"), "session": {
    "modalities": any_of(const(["text", "audio"]), const(["audio", "text"])), "input_audio_format": FORMAT, "output_audio_format": FORMAT,
    "instructions?": text(), "voice?": text(), "turn_detection?": ANY, "input_audio_transcription?": ANY}}
APPEND = {"type": const("input_audio_buffer.append"), "audio": text()}
ITEM = {"type": const("conversation.item.create"), "item": {"type": const("message"), "role": const("user"), "content": ANY}}


class OpenAiRealtimeBeta(BotCall):
    dialect = "openai-realtime-beta"
    has_clear = True

    def __init__(self, *args):
        super().__init__(*args)
        self.mulaw, self.events = True, 0

    async def run(self):
        await self.event("session.created", session={"id": "sess_1", "object": "realtime.session"})
        await super().run()

    async def event(self, kind, **fields):
        self.events += 1
        await self.send(json.dumps({"type": kind, "event_id": f"event_{self.events}", **fields}))

    async def on_text(self, message):
        judge = self.judge
        msg = parse_object(judge, message)
        if msg is None:
            return
        kind = msg.get("type")
        judge.note("in", message[:400] if kind != "input_audio_buffer.append" else kind)
        if kind == "session.update":
            await self.on_session(msg)
        elif not judge.expect(judge.start is not None, f"{kind} before session.update"):
            return
        elif kind == "input_audio_buffer.append":
            await self.on_append(msg)
        elif kind == "conversation.item.create":
            await self.on_item(msg)
        else:
            judge.violation(f"unknown client event {short(kind)}")
            await self.event("error", error={"type": "invalid_request_error", "message": "unknown event"})

    async def on_session(self, msg):
        judge = self.judge
        judge.expect(judge.start is None, "a second session.update")
        shape(judge, "session.update", msg, SESSION)
        session = msg.get("session", {})
        judge.expect(session.get("input_audio_format") == session.get("output_audio_format"), "session: two formats")
        self.mulaw = session.get("input_audio_format") == "g711_ulaw"
        # The engine's pcm16 is 24 kHz, its g711_ulaw 8 kHz.
        self.rate = judge.rate = 8000 if self.mulaw else 24000
        want = self.args.expect_from
        judge.expect(want is None or want in session.get("instructions", ""), f"session.instructions do not name {want}")
        await self.event("session.updated", session=session)
        self.started(msg)

    async def on_append(self, msg):
        judge = self.judge
        if not shape(judge, "append", msg, APPEND):
            return
        data = audio_payload(judge, "audio", msg["audio"])
        if self.mulaw:
            samples = mulaw_decode(data)
        elif judge.expect(len(data) % 2 == 0, "audio: half a sample"):
            samples = np.frombuffer(data, "<i2")
        else:
            return
        await self.heard_audio(len(data), samples, lambda: self.delta(data))

    async def on_item(self, msg):
        judge = self.judge
        if not shape(judge, "item", msg, ITEM):
            return
        content = msg["item"]["content"]
        words = content[0].get("text", "") if isinstance(content, list) and content else ""
        pressed = re.fullmatch(r"The caller pressed ([0-9*#A-D])\.", words)
        if judge.expect(pressed is not None, f"item.content: {short(content)}"):
            self.heard_digit(pressed[1])

    async def delta(self, data):
        await self.event("response.audio.delta", response_id="resp_1", item_id="item_1", output_index=0, content_index=0,
                         delta=base64.b64encode(data).decode())

    async def send_audio(self, samples):
        """Faster than real time, 100 ms at a time, as engines do, with a transcript beside it."""
        await self.event("response.audio_transcript.delta", response_id="resp_1", item_id="item_1", delta="hi")
        for i in range(0, len(samples), self.rate // 10):
            part = samples[i : i + self.rate // 10].astype("<i2")
            await self.delta(mulaw_encode(part) if self.mulaw else part.tobytes())
        await self.event("response.audio.done", response_id="resp_1", item_id="item_1")

    async def send_clear(self):
        await self.event("input_audio_buffer.speech_started", audio_start_ms=round(self.judge.audio_ms), item_id="item_2")

    async def hangup(self):
        await self.ws.close(1000)

    async def seed_examples(self):
        """Events without audio, in the names of the engine: none may disturb the call."""
        for kind in ("response.created", "rate_limits.updated", "response.text.delta", "response.done"):
            await self.event(kind)
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    main(OpenAiRealtimeBeta)
