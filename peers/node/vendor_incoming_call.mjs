#!/usr/bin/env node
// A foreign incoming-call platform (seeds 002 and 003): rings, waits for the answer, talks in binary, ends with hangup and cdr.
import { randomBytes } from "node:crypto";
import { constant, integer, parseObject, shape, short, text } from "./judge.mjs";
import { fromBytes, toBytes } from "./sound.mjs";
import { dial, VendorCall } from "./vendorclient.mjs";

const SHAPES = {
  answer: { event: constant("answer") },
  dtmf: { event: constant("dtmf"), digit: text(/^[0-9*#]$/), duration: integer(1, 1000) },
  hangup: { event: constant("hangup") },
  // Younger than the seeds: flush what waits to be played.
  interrupt: { event: constant("interrupt") },
};

class IncomingCall extends VendorCall {
  static dialect = "incoming-call";
  answeredAt = null;
  gone = false;

  begin() {
    this.startedAt = new Date();
    this.session = `s-${randomBytes(8).toString("hex")}`;
    this.judge.start = { event: "incoming_call", callerId: this.args.from, didNumber: this.args.to, sessionId: this.session };
    this.say(this.judge.start);
  }

  onText(message) {
    const { judge } = this, msg = parseObject(judge, message);
    if (!msg) return;
    judge.note("in", message.slice(0, 200));
    const name = msg.event;
    if (!Object.hasOwn(SHAPES, name)) return judge.violation(`unknown event ${short(name)}`);
    if (!shape(judge, name, msg, SHAPES[name])) return;
    judge.expect(!this.gone, `${name} after the hangup`);
    if (name === "answer") {
      judge.expect(this.startedAt, "answer before incoming_call");
      judge.expect(!this.answeredAt, "a second answer");
      this.answeredAt ??= new Date();
      judge.extra.answer_ms = this.answeredAt - this.startedAt;
      this.isReady();
    } else if (name === "hangup") this.heardHangup();
    else if (judge.expect(this.answeredAt, `${name} before the answer`)) {
      if (name === "dtmf") judge.digits.push(msg.digit);
      else {
        judge.clears++;
        this.ear.clear();
      }
    }
  }

  onBinary(data) {
    const { judge } = this;
    judge.expect(this.answeredAt, "audio before the answer");
    if (judge.expect(data.length > 0 && data.length % 2 === 0, `binary audio of ${data.length} bytes`)) this.heardAudio(data.length, fromBytes(data));
  }

  sendFrame(samples) {
    this.send(toBytes(samples));
  }

  sendDigit(digit) {
    this.say({ event: "dtmf", digit });
  }

  async goodbye() {
    if (!this.botHungUp) this.say('{ "event": "hangup" }');
    this.gone = true;
    if (!this.args["no-cdr"]) this.say(this.cdr());
    this.ws.close(1000);
  }

  cdr() {
    const end = new Date(), answer = this.answeredAt, seconds = (from) => Math.round((end - from) / 1000);
    return {
      event: "cdr", sessionId: this.session, destination: this.args.to, startTime: this.startedAt.toISOString(),
      answerTime: answer?.toISOString() ?? "", endTime: end.toISOString(), duration: seconds(this.startedAt), billableSeconds: answer ? seconds(answer) : 0,
      disposition: answer ? "ANSWERED" : "NO ANSWER", hangupBy: this.botHungUp ? "callee" : "caller", hangupCauseCode: "16", hangupCauseText: "Normal Clearing",
    };
  }

  atEnd() {
    this.judge.expect(this.answeredAt, "never answered");
  }
}

dial(IncomingCall);
