#!/usr/bin/env python3
"""The realtime client of the PyPI package `openai` against a server that speaks like the service: a session, a turn, its answer, items.

Every event that comes is validated with the package's own types. Prints one VERDICT line."""

import argparse
import asyncio
import base64
import json
import ssl
import time

import numpy as np
import openai
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError

from sound import mulaw_decode, mulaw_encode, read_wav, resample, write_wav

EVENT = TypeAdapter(RealtimeServerEvent)
PATIENCE_S = 30


class Talk:
    def __init__(self, args, connection):
        self.args, self.connection = args, connection
        self.rate = 8000 if args.format == "audio/pcmu" else 24000
        self.violations, self.kinds, self.waiting = [], {}, []
        self.heard, self.items, self.began = [], {}, time.monotonic()

    async def listen(self):
        """Reads and judges every event until the connection is closed."""
        try:
            while True:
                raw = await self.connection.recv_bytes()
                try:
                    EVENT.validate_json(raw)
                except ValidationError as error:
                    self.violations.append(f"{json.loads(raw).get('type')}: {str(error)[:300]}")
                self.take(json.loads(raw))
        except openai.OpenAIError as error:
            self.violations.append(f"the client says {error}")
        except Exception as error:  # the websockets library's own: the connection is over
            if type(error).__name__ not in ("ConnectionClosedOK", "ConnectionClosedError", "WebSocketConnectionClosedError"):
                self.violations.append(f"{type(error).__name__}: {error}"[:200])

    def take(self, event):
        kind = event["type"]
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind == "response.output_audio.delta":
            data = base64.b64decode(event["delta"], validate=True)
            samples = mulaw_decode(data) if self.rate == 8000 else np.frombuffer(data, "<i2")
            self.heard.append(samples)
            self.items[event["item_id"]] = self.items.get(event["item_id"], 0) + len(samples) * 1000 / self.rate
        for wanted, future in list(self.waiting):
            if wanted == kind and not future.done():
                future.set_result(event)

    def coming(self, kind):
        """The next event of that type; ask before what causes it."""
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((kind, future))
        return asyncio.wait_for(future, PATIENCE_S)

    async def send(self, event):
        await self.connection.send(event)

    async def append(self, samples):
        data = mulaw_encode(samples) if self.rate == 8000 else samples.astype("<i2").tobytes()
        await self.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()})

    async def stream(self, samples):
        step, began = self.rate // 50, time.monotonic()
        for at in range(0, len(samples), step):
            await asyncio.sleep(max(0.0, began + at / self.rate - time.monotonic()))
            await self.append(samples[at : at + step])

    async def run(self):
        created = self.coming("session.created")
        reader = asyncio.create_task(self.listen())
        await created
        # Samples begin to stream before they say in which format.
        await self.append(np.zeros(self.rate // 10, "<i2"))
        pcm = {"type": "audio/pcm", "rate": 24000}
        form = {"type": "audio/pcmu"} if self.rate == 8000 else pcm
        session = {"type": "realtime", "instructions": "Repeat what you hear.", "output_modalities": ["audio"], "audio": {
            "input": {"format": form, "turn_detection": {"type": "server_vad", "silence_duration_ms": 400}},
            "output": {"format": form, "voice": "marin"}}}
        for _ in range(2):
            updated = self.coming("session.updated")
            await self.send({"type": "session.update", "session": session})
            said = await updated
            self.expect(said["session"]["audio"]["output"]["format"]["type"] == form["type"], "the session has another format")
        await self.items_by_hand()
        await self.one_turn()
        await self.truncate()
        await self.connection.close()
        await asyncio.wait_for(reader, PATIENCE_S)

    async def items_by_hand(self):
        done = self.coming("conversation.item.done")
        content = [{"type": "input_text", "text": "hello"}]
        await self.send({"type": "conversation.item.create", "item": {"id": "mine", "type": "message", "role": "user", "content": content}})
        await done
        retrieved = self.coming("conversation.item.retrieved")
        await self.send({"type": "conversation.item.retrieve", "item_id": "mine"})
        self.expect((await retrieved)["item"]["content"] == content, "the item came back otherwise")
        deleted = self.coming("conversation.item.deleted")
        await self.send({"type": "conversation.item.delete", "item_id": "mine"})
        await deleted

    async def one_turn(self):
        """Two seconds of sound, then silence until the answer is over."""
        sound, _ = read_wav(self.args.play, self.rate)
        said = sound[: 2 * self.rate]
        over = self.coming("response.done")
        stopped, committed = self.coming("input_audio_buffer.speech_stopped"), self.coming("input_audio_buffer.committed")
        await self.stream(np.concatenate([np.zeros(self.rate // 2, "<i2"), said]))
        silence = asyncio.create_task(self.stream(np.zeros(PATIENCE_S * self.rate, "<i2")))
        await stopped
        await committed
        response = (await over)["response"]
        silence.cancel()
        self.expect(response["status"] == "completed", f"the response is {response['status']}")
        self.expect(len(response["output"]) == 1, f"{len(response['output'])} items in the response")

    async def truncate(self):
        if not self.items:
            return self.violations.append("nothing was heard")
        item, played = list(self.items.items())[-1]
        truncated = self.coming("conversation.item.truncated")
        await self.send({"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": int(played / 2)})
        await truncated
        refused = self.coming("error")
        await self.send({"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": int(played) + 100})
        self.expect((await refused)["error"]["type"] == "invalid_request_error", "too long a truncation is no invalid request")

    def expect(self, good, sentence):
        if not good:
            self.violations.append(sentence)

    def verdict(self):
        samples = np.concatenate(self.heard) if self.heard else np.zeros(0, "<i2")
        if self.args.record:
            write_wav(self.args.record, resample(samples, self.rate, 8000), 8000)
        return {"ok": not self.violations, "violations": self.violations, "events": self.kinds,
                "audio_ms": round(len(samples) * 1000 / self.rate), "package": f"openai {openai.__version__}"}


async def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--url", required=True, help="the address of the bot; the client itself adds /realtime and the model")
    p.add_argument("--ca", help="the certificate that is trusted, for wss")
    p.add_argument("--key", default="sk-test")
    p.add_argument("--format", default="audio/pcm", choices=["audio/pcm", "audio/pcmu"])
    p.add_argument("--play", required=True)
    p.add_argument("--record")
    args = p.parse_args()
    options = {"ssl": ssl.create_default_context(cafile=args.ca)} if args.ca else {}
    client = openai.AsyncOpenAI(api_key=args.key, websocket_base_url=args.url)
    async with client.realtime.connect(model="gpt-realtime", websocket_connection_options=options) as connection:
        talk = Talk(args, connection)
        try:
            await asyncio.wait_for(talk.run(), 3 * PATIENCE_S)
        except asyncio.TimeoutError:
            talk.violations.append(f"something that was waited for never came; events so far: {talk.kinds}")
    verdict = talk.verdict()
    print("VERDICT", json.dumps(verdict), flush=True)
    raise SystemExit(0 if verdict["ok"] else 1)


if __name__ == "__main__":
    asyncio.run(main())
