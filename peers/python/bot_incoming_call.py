#!/usr/bin/env python3
"""A foreign bot of the incoming-call dialect (seeds 002 and 003): JSON control, binary 16-bit 8 kHz audio, a cdr at the end."""

import asyncio
import json
from datetime import datetime

import numpy as np

from botserver import BotCall, main
from judge import any_of, const, integer, parse_object, shape, short, text

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
INCOMING = {"event": const("incoming_call"), "callerId": text(r".*"), "didNumber": text(), "sessionId": text(r"call_\d{13}_[0-9A-Za-z_-]{16,}")}
DTMF = {"event": const("dtmf"), "digit": text(r"[0-9*#A-D]")}
HANGUP = {"event": const("hangup")}
CDR = {
    "event": const("cdr"), "sessionId": text(), "source?": text(r".*"), "destination": text(), "startTime": text(TIME),
    "answerTime": any_of(text(TIME), const("")), "endTime": text(TIME), "duration": integer(0), "billableSeconds": integer(0),
    "disposition": text("ANSWERED|NO ANSWER|BUSY|FAILED|CANCELED"), "hangupBy": text("caller|callee|system"),
    "hangupCauseCode": text(r"\d{1,3}"), "hangupCauseText": text(),
}


def seconds(iso):
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


class IncomingCall(BotCall):
    dialect = "incoming-call"
    has_clear = True

    def __init__(self, *args):
        super().__init__(*args)
        self.answered = self.we_hung_up = False

    async def on_text(self, message):
        judge = self.judge
        judge.note("in", message[:400])
        msg = parse_object(judge, message)
        if msg is None:
            return
        event = msg.get("event")
        judge.expect("cdr" not in judge.end, f"{event} after the cdr")
        if event == "incoming_call":
            await self.on_incoming(msg)
            return
        judge.expect(judge.start is not None, f"{event} before incoming_call")
        if event == "dtmf":
            judge.expect("hangup" not in judge.end, "dtmf after the hangup")
            if shape(judge, "dtmf", msg, DTMF):
                self.heard_digit(msg["digit"])
        elif event == "hangup":
            shape(judge, "hangup", msg, HANGUP)
            judge.expect("hangup" not in judge.end, "a second hangup")
            judge.expect(not self.we_hung_up, "hangup in answer to the bot's own hangup")
            judge.end["hangup"] = True
        elif event == "cdr":
            judge.end["cdr"] = msg
            number = {"destination": text(r".*")} if self.args.any_number else {}
            if shape(judge, "cdr", msg, CDR | number):
                self.judge_cdr(msg)
        else:
            judge.violation(f"unknown event {short(event)}")

    async def on_incoming(self, msg):
        judge, args = self.judge, self.args
        judge.expect(judge.start is None, "a second incoming_call")
        number = {"didNumber": text(r".*")} if args.any_number else {}
        shape(judge, "incoming_call", msg, INCOMING | number)
        for key, want in (("callerId", args.expect_from), ("didNumber", args.expect_to)):
            judge.expect(want in (None, msg.get(key)), f"incoming_call.{key}: expected {want}, was {short(msg.get(key))}")
        judge.start = msg
        self.spawn(self.answer(float(args.behaviour.get("wait-answer") or 0)))

    async def answer(self, wait):
        await asyncio.sleep(wait)
        await self.say('{"event":"answer"}')
        self.answered = True
        self.started(self.judge.start)

    def judge_cdr(self, cdr):
        judge = self.judge
        start = judge.start or {}
        judge.expect(cdr["sessionId"] == start.get("sessionId"), "cdr.sessionId differs from incoming_call")
        judge.expect(cdr["destination"] == start.get("didNumber"), "cdr.destination differs from didNumber")
        judge.expect(cdr.get("source") in (None, start.get("callerId")), "cdr.source differs from callerId")
        judge.expect(bool(cdr["answerTime"]) == self.answered, f"cdr.answerTime {cdr['answerTime']!r}, but answered is {self.answered}")
        judge.expect((cdr["disposition"] == "ANSWERED") == self.answered, f"cdr.disposition {cdr['disposition']} of a call answered: {self.answered}")
        begin, end = seconds(cdr["startTime"]), seconds(cdr["endTime"])
        answer = seconds(cdr["answerTime"]) if cdr["answerTime"] else end
        judge.expect(begin <= answer <= end, "cdr: startTime <= answerTime <= endTime does not hold")
        judge.expect(abs(cdr["duration"] - (end - begin)) <= 1, f"cdr.duration {cdr['duration']} of {end - begin:.1f} s")
        judge.expect(abs(cdr["billableSeconds"] - (end - answer)) <= 1, f"cdr.billableSeconds {cdr['billableSeconds']} of {end - answer:.1f} s")
        if self.we_hung_up:
            judge.expect(cdr["hangupBy"] == "callee", f"cdr.hangupBy {cdr['hangupBy']}, but the bot hung up")

    async def on_binary(self, data):
        judge = self.judge
        judge.expect(self.answered, "audio before the answer")
        judge.expect(not judge.end.get("hangup") and "cdr" not in judge.end, "audio after the end")
        if judge.expect(len(data) % 2 == 0, f"odd audio message of {len(data)} bytes"):
            await self.heard_audio(len(data), np.frombuffer(data, "<i2"), lambda: self.send(data))

    async def send_audio(self, samples):
        for i in range(0, len(samples), 160):
            await self.send(samples[i : i + 160].astype("<i2").tobytes())

    async def send_digit(self, digit):
        await self.say(json.dumps({"event": "dtmf", "digit": digit, "duration": 200}))

    async def send_clear(self):
        await self.say('{"event":"interrupt"}')

    async def hangup(self):
        self.we_hung_up = True
        await self.say('{"event":"hangup"}')

    async def seed_examples(self):
        """Every example of the seeds' bot side: digit 1 for 200 ms, audio echoed, then the hangup."""
        await asyncio.sleep(2)
        await self.say('{ "event": "dtmf", "digit": "1", "duration": 200 }')
        await asyncio.sleep(2)
        await self.hangup()

    def at_end(self):
        judge = self.judge
        if any(name.startswith("close-") for name in self.args.behaviour):
            return
        judge.expect(self.we_hung_up or judge.end.get("hangup"), "the call ended without a hangup")
        judge.expect(self.args.no_cdr != ("cdr" in judge.end), "cdr is missing" if not self.args.no_cdr else "a cdr came though it is off")


if __name__ == "__main__":
    main(IncomingCall)
