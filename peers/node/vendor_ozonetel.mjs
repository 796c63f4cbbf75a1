#!/usr/bin/env node
// A foreign ozonetel platform (seed 001): start, 10 ms sample arrays both ways, stop; then it waits for the gateway's close.
import { randomBytes } from "node:crypto";
import { constant, parseObject, shape, short, text } from "./judge.mjs";
import { dtmfTone } from "./sound.mjs";
import { dial, VendorCall } from "./vendorclient.mjs";

const MEDIA = (ucid) => ({
  event: constant("media"), type: constant("media"), ucid: constant(ucid),
  // Live bots label their packets; the vendor acknowledges each label when it was played.
  "seqid?": text(),
  data: {
    samples: (v) => (Array.isArray(v) && v.length === 80 && v.every((s) => Number.isInteger(s) && Math.abs(s + 0.5) < 32769) ? null : "expected 80 16-bit integers"),
    bitsPerSample: constant(16), sampleRate: constant(8000), channelCount: constant(1), numberOfFrames: constant(80), type: constant("data"),
  },
});
const COMMANDS = ["clearBuffer", "callDisconnect"];

class Ozonetel extends VendorCall {
  static dialect = "ozonetel";
  frameMs = 10;
  ucid = `CALL-${randomBytes(8).toString("hex")}`;
  toneLeft = new Int16Array(0);
  awaited = new Set();

  begin() {
    const live = this.args["start-shape"] === "live";
    this.judge.start = live
      ? { event: "start", type: "text", ucid: this.ucid, did: this.args.to, call_id: this.args.from, x_account: "serv_del", x_headers: JSON.stringify({ cid: this.args.from, event: "NewCall" }),
          media: { encoding: "PCMU", sampleRate: 8000, channels: 1, bitsPerSample: 16, payloadType: 0 } }
      : { event: "start", ucid: this.ucid, type: "text" };
    this.say(this.judge.start);
    // Live calls begin with one packet of 16 kHz that is to be ignored: a loud buzz, so that playing it would be heard.
    if (live) this.sendMedia(Array.from({ length: 160 }, (_, i) => (i % 16 < 8 ? 20000 : -20000)), 16000);
    this.isReady();
  }

  sendMedia(samples, sampleRate = 8000) {
    const data = { samples, bitsPerSample: 16, sampleRate, channelCount: 1, numberOfFrames: samples.length, type: "data" };
    this.send(JSON.stringify({ event: "media", type: "media", ucid: this.ucid, data }));
  }

  /** Digits do not exist on this wire: their tones take the place of the caller's voice. */
  sendFrame(samples) {
    const out = Array.from(samples), tones = this.toneLeft.subarray(0, out.length);
    tones.forEach((v, i) => (out[i] = v));
    this.toneLeft = this.toneLeft.subarray(tones.length);
    this.sendMedia(out);
  }

  sendDigit(digit) {
    this.toneLeft = dtmfTone(digit, 120);
  }

  onText(message) {
    const { judge } = this, msg = parseObject(judge, message);
    if (!msg) return;
    if ("command" in msg) {
      judge.note("in", message.slice(0, 200));
      if (!shape(judge, "command", msg, { command: text(new RegExp(`^(${COMMANDS.join("|")})$`)) })) return;
      if (msg.command === "callDisconnect") return this.heardHangup();
      judge.clears++;
      this.ear.clear();
      this.awaited.forEach(clearTimeout);
      this.awaited.clear();
    } else if (msg.event !== "media") judge.violation(`unknown message ${short(msg)}`);
    else if (shape(judge, "media", msg, MEDIA(this.ucid))) {
      this.heardAudio(message.length, Int16Array.from(msg.data.samples));
      if (msg.seqid) this.acknowledge(msg.seqid);
    }
  }

  acknowledge(seqid) {
    this.judge.extra.acks = (this.judge.extra.acks ?? 0) + 1;
    const timer = setTimeout(() => {
      this.awaited.delete(timer);
      if (!this.leaving) this.say({ event: "mark", type: "ack", ucid: this.ucid, seqid, timestamp: Date.now() });
    }, this.ear.end - performance.now());
    this.awaited.add(timer);
  }

  /** The stop, then "wait for WebSocket close confirmation". */
  async goodbye() {
    const stop = { event: "stop", ucid: this.args["other-ucid"] ? `TEST-${Date.now()}` : this.ucid, type: "text" };
    this.say(this.args["start-shape"] === "live" ? { ...stop, did: this.args.to } : stop);
  }
}

dial(Ozonetel);
