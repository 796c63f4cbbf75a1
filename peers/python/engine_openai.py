#!/usr/bin/env python3
"""A foreign speech engine: says, finds, calls and fails as a JSON script has it, and validates every message that comes.

Messages are validated with the types of the PyPI package `openai` (RealtimeClientEvent), and for what the service is known to
refuse beyond them: unknown names, a missing type or rate, a truncation beyond what was sent, a second response at a time.

The script is an object:
  {"greeting": {"text": "Namaskar", "ms": 1500},                    answered to the first response.create
   "answers": [{"text": "Yes", "ms": 900}, ...],                    to turns of the caller, and to later response.create
   "beats": [{"at_ms": 3000, "do": "speech_started"},               since session.updated
             {"at_ms": 4000, "do": "speech_stopped", "text": "My name is Gulshan"},
             {"at_ms": 5000, "do": "call", "name": "hang_up", "arguments": {}},
             {"at_ms": 6000, "do": "error", "code": "session_expired"},
             {"at_ms": 6500, "do": "write", "text": "nonsense"}, {"at_ms": 7000, "do": "close", "code": 1011},
             {"at_ms": 7000, "do": "die"}, {"at_ms": 7000, "do": "silence"}],
   "vad": true,                                                     find turns of the caller by loudness
   "speed": 8,                                                      how much faster than it sounds audio is sent
   "never_updated": false}                                          session.updated never comes
Prints LISTENING port, then one VERDICT line a call."""

import argparse
import asyncio
import base64
import json
import signal
import ssl
import time

import numpy as np
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from sound import mulaw_decode, mulaw_encode, resample, tone, write_wav

CLIENT_EVENT = TypeAdapter(RealtimeClientEvent)
SESSION_NAMES = {"type", "model", "output_modalities", "instructions", "audio", "tools", "tool_choice", "max_output_tokens", "tracing",
                 "truncation", "prompt", "include", "parallel_tool_calls", "reasoning"}
DEFAULT = {"greeting": {"text": "Good morning, how can I help?", "ms": 1500}, "answers": [], "beats": [], "vad": True, "speed": 8}


class Session:
    def __init__(self, ws, args, script, number):
        self.ws, self.args, self.script, self.number = ws, args, script, number
        self.violations, self.kinds, self.tasks = [], {}, []
        self.session, self.mulaw, self.numbers = None, True, 0
        self.heard, self.heard_ms, self.first_audio_at = [], 0.0, None
        self.began = time.monotonic()
        self.responding, self.cancelled = None, False
        self.items, self.truncated, self.results, self.messages = {}, [], [], []
        self.answers = list(script["answers"])
        self.greeting = script.get("greeting")
        self.silent, self.speaking, self.loud_ms, self.quiet_ms = False, None, 0, 0
        self.order = []

    def ms(self):
        return (time.monotonic() - self.began) * 1000

    def draw(self, prefix):
        self.numbers += 1
        return f"{prefix}_{self.number}_{self.numbers}"

    async def event(self, kind, **fields):
        if self.silent:
            return
        try:
            await self.ws.send(json.dumps({"type": kind, "event_id": self.draw("event"), **fields}))
        except ConnectionClosed:
            pass

    async def run(self):
        await self.event("session.created", session={"type": "realtime", "object": "realtime.session", "id": self.draw("sess")})
        try:
            async for message in self.ws:
                await self.take(message)
        except ConnectionClosed:
            pass
        for task in self.tasks:
            task.cancel()

    async def take(self, message):
        if not isinstance(message, str):
            return self.violations.append(f"a binary message of {len(message)} bytes")
        try:
            CLIENT_EVENT.validate_json(message)
        except ValidationError as error:
            self.violations.append(f"{message[:60]}: {str(error)[:300]}")
            return
        event = json.loads(message)
        kind = event["type"]
        if kind != "input_audio_buffer.append" or not self.kinds.get(kind):
            self.order.append(kind)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.expect(kind == "session.update" or self.session is not None, f"{kind} before session.update")
        await getattr(self, "on_" + kind.replace(".", "_"))(event)

    async def on_session_update(self, event):
        session = event["session"]
        unknown = set(session) - SESSION_NAMES
        self.expect(not unknown, f"unknown parameters session.{unknown}")
        self.expect(session.get("type") == "realtime", "session.type is missing")
        forms = [session.get("audio", {}).get(side, {}).get("format", {}) for side in ("input", "output")]
        for form in forms:
            self.expect(form.get("type") != "audio/pcm" or form.get("rate") == 24000, "audio/pcm without its rate")
        self.expect(forms[0].get("type") == forms[1].get("type"), "two formats")
        self.mulaw = forms[1].get("type") == "audio/pcmu"
        self.rate = 24000 if forms[1].get("type") == "audio/pcm" else 8000
        first, self.session = self.session is None, session
        if not self.script.get("never_updated"):
            await self.event("session.updated", session=session)
        if first:
            self.began = time.monotonic()
            self.tasks.append(asyncio.create_task(self.beats()))

    async def on_input_audio_buffer_append(self, event):
        data = base64.b64decode(event["audio"], validate=True)
        if self.first_audio_at is None:
            self.first_audio_at = self.ms()
        samples = mulaw_decode(data) if self.mulaw else np.frombuffer(data[: len(data) & ~1], "<i2")
        if self.rate == 24000 or self.mulaw:
            self.heard.append(samples)
        ms = len(samples) * 1000 / self.rate
        self.heard_ms += ms
        if self.script.get("vad") and self.session["audio"]["input"].get("turn_detection"):
            await self.detect(samples, ms)

    async def detect(self, samples, ms):
        loud = len(samples) and np.abs(samples.astype(float)).mean() > 300
        self.loud_ms, self.quiet_ms = (self.loud_ms + ms, 0) if loud else (0, self.quiet_ms + ms)
        if self.speaking is None and self.loud_ms >= 60:
            await self.speech_started()
        elif self.speaking is not None and self.quiet_ms >= 500:
            await self.speech_stopped({"text": "as heard"})
            if self.answers:
                self.tasks.append(asyncio.create_task(self.respond(self.answers.pop(0))))

    async def speech_started(self):
        self.speaking = self.draw("item")
        await self.event("input_audio_buffer.speech_started", audio_start_ms=int(self.heard_ms), item_id=self.speaking)
        detection = self.session["audio"]["input"].get("turn_detection") or {}
        if detection.get("interrupt_response", True):
            self.cancelled = True

    async def speech_stopped(self, beat):
        item, self.speaking = self.speaking or self.draw("item"), None
        await self.event("input_audio_buffer.speech_stopped", audio_end_ms=int(self.heard_ms), item_id=item)
        await self.event("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        if self.session["audio"]["input"].get("transcription") and beat.get("text"):
            kind = "conversation.item.input_audio_transcription"
            await self.event(f"{kind}.delta", item_id=item, content_index=0, delta=beat["text"])
            await self.event(f"{kind}.completed", item_id=item, content_index=0, transcript=beat["text"],
                             usage={"type": "duration", "seconds": 1})

    async def on_response_create(self, event):
        if self.responding is not None:
            self.violations.append("a response was asked for while one was being made")
            return await self.event("error", error={"type": "invalid_request_error", "code": "conversation_already_has_active_response",
                                                     "message": "as it is", "event_id": event.get("event_id")})
        greeting, self.greeting = self.greeting, None
        answer = greeting or (self.answers.pop(0) if self.answers else None)
        if answer:
            self.tasks.append(asyncio.create_task(self.respond(answer)))

    async def on_response_cancel(self, event):
        self.expect(self.responding is not None, "a response was cancelled that is not made")
        self.cancelled = True

    async def on_conversation_item_truncate(self, event):
        sent = self.items.get(event["item_id"])
        if self.expect(sent is not None and event["audio_end_ms"] <= sent, f"truncated at {event['audio_end_ms']} of {sent} ms"):
            self.truncated.append({"item": event["item_id"], "ms": event["audio_end_ms"], "sent_ms": round(sent), "at_ms": round(self.ms())})
            await self.event("conversation.item.truncated", item_id=event["item_id"], content_index=0, audio_end_ms=event["audio_end_ms"])

    async def on_conversation_item_create(self, event):
        item = {"id": self.draw("item"), **event["item"]}
        if item["type"] == "function_call_output":
            self.results.append({"call_id": item["call_id"], "output": item["output"]})
        else:
            self.messages.append({"role": item["role"], "text": item["content"][0].get("text")})
        for kind in ("added", "done"):
            await self.event(f"conversation.item.{kind}", item=item, previous_item_id=None)

    async def on_input_audio_buffer_commit(self, event):
        if self.speaking is not None:
            await self.speech_stopped({"text": "as heard"})

    async def on_input_audio_buffer_clear(self, event): ...
    async def on_conversation_item_retrieve(self, event): ...
    async def on_conversation_item_delete(self, event): ...

    async def respond(self, answer):
        response, item = self.draw("resp"), self.draw("item")
        self.responding, self.cancelled = response, False
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        await self.event("response.created", response={"id": response, "object": "realtime.response", "status": "in_progress", "output": []})
        message = {"id": item, "type": "message", "role": "assistant", "content": []}
        await self.event("response.output_item.added", response_id=response, output_index=0, item=message)
        self.items[item] = 0
        for word in answer["text"].split(" "):
            await self.event("response.output_audio_transcript.delta", **place, delta=word + " ")
        samples = tone(answer.get("hertz", 440), answer["ms"], self.rate, 8000)
        piece = self.rate // 5
        for at in range(0, len(samples), piece):
            if self.cancelled:
                break
            part = samples[at : at + piece].astype("<i2")
            data = mulaw_encode(part) if self.mulaw else part.tobytes()
            self.items[item] += len(part) * 1000 / self.rate
            await self.event("response.output_audio.delta", **place, delta=base64.b64encode(data).decode())
            await asyncio.sleep(len(part) / self.rate / self.script["speed"])
        status = "cancelled" if self.cancelled else "completed"
        if not self.cancelled:
            await self.event("response.output_audio_transcript.done", **place, transcript=answer["text"])
        self.responding = None
        details = {"type": "cancelled", "reason": "turn_detected"} if self.cancelled else None
        await self.event("response.done", response={"id": response, "object": "realtime.response", "status": status, "status_details": details,
                                                    "output": [{**message, "status": "completed"}]})

    async def beats(self):
        for beat in sorted(self.script["beats"], key=lambda beat: beat["at_ms"]):
            await asyncio.sleep(max(0.0, beat["at_ms"] - self.ms()) / 1000)
            deed = beat["do"]
            if deed == "speech_started":
                await self.speech_started()
            elif deed == "speech_stopped":
                await self.speech_stopped(beat)
                if self.answers:
                    self.tasks.append(asyncio.create_task(self.respond(self.answers.pop(0))))
            elif deed == "call":
                await self.call(beat)
            elif deed == "error":
                await self.event("error", error={"type": "invalid_request_error", "code": beat["code"], "message": "as scripted"})
            elif deed == "write":
                await self.ws.send(beat["text"])
            elif deed == "close":
                await self.ws.close(beat.get("code", 1000))
            elif deed == "die":
                self.ws.transport.abort()
            elif deed == "silence":
                self.silent = True

    async def call(self, beat):
        response, item, call = self.draw("resp"), self.draw("item"), self.draw("call")
        arguments = json.dumps(beat.get("arguments", {}))
        self.responding = response
        await self.event("response.created", response={"id": response, "status": "in_progress", "output": []})
        await self.event("response.function_call_arguments.done", response_id=response, item_id=item, output_index=0, call_id=call,
                         name=beat["name"], arguments=arguments)
        done = {"id": item, "type": "function_call", "status": "completed", "call_id": call, "name": beat["name"], "arguments": arguments}
        await self.event("response.output_item.done", response_id=response, output_index=0, item=done)
        self.responding = None
        await self.event("response.done", response={"id": response, "status": "completed", "output": [done]})

    def expect(self, good, sentence):
        if not good:
            self.violations.append(sentence)
        return good

    def verdict(self):
        if self.args.record and self.heard:
            samples = np.concatenate(self.heard)
            write_wav(self.args.record.replace("%n", str(self.number)), resample(samples, self.rate, 8000), 8000)
        request = self.ws.request
        headers = {name: request.headers.get(name) for name in ("authorization", "api-key", "openai-beta") if request.headers.get(name)}
        return {"ok": not self.violations, "violations": self.violations, "path": request.path, "headers": headers, "messages_in": self.kinds,
                "order": self.order[:40], "session": self.session, "heard_ms": round(self.heard_ms), "first_audio_at_ms": self.first_audio_at,
                "said": {item: round(ms) for item, ms in self.items.items()}, "truncated": self.truncated, "tool_results": self.results,
                "messages": self.messages, "close_code": self.ws.close_code}


async def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--listen", default="127.0.0.1:0")
    p.add_argument("--script", default="{}", help="the script, or @FILE")
    p.add_argument("--calls", type=int, default=0, help="exit after so many calls; 0 = at SIGTERM")
    p.add_argument("--record", help="WAV of what the caller said (8 kHz); %%n is the call's number")
    p.add_argument("--cert", help="certificate, for TLS")
    p.add_argument("--key", help="its key")
    args = p.parse_args()
    text = open(args.script[1:]).read() if args.script.startswith("@") else args.script
    script = {**DEFAULT, **json.loads(text)}
    over, bad, count = asyncio.Event(), [], 0

    async def take(ws):
        nonlocal count
        count += 1
        session = Session(ws, args, script, count)
        await session.run()
        verdict = session.verdict()
        bad.extend([] if verdict["ok"] else [1])
        print("VERDICT", json.dumps(verdict), flush=True)
        if args.calls and session.number >= args.calls:
            over.set()

    tls = None
    if args.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(args.cert, args.key)
    host, _, port = args.listen.rpartition(":")
    async with serve(take, host, int(port), ssl=tls, max_size=None) as server:
        print("LISTENING", server.sockets[0].getsockname()[1], flush=True)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        await over.wait()
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    asyncio.run(main())
