#!/usr/bin/env node
// A foreign bot of the ivr-solutions dialect (seed 000, §5 and §6): seven events in, audio as binary or JSON and four commands out.
import { setTimeout as sleep } from "node:timers/promises";
import { BotCall, serveBot } from "./botserver.mjs";
import { audioPayload, constant, integer, parseObject, shape, short, text } from "./judge.mjs";
import { alawDecode, alawEncode, fromBytes, mulawDecode, mulawEncode, toBytes, tone } from "./sound.mjs";

const FORMATS = { "raw/slin": [fromBytes, toBytes], "audio/x-mulaw": [mulawDecode, mulawEncode], "audio/x-alaw": [alawDecode, alawEncode] };
const SID = text(/^\d+\.\d+$/), CALL = text(/^call_\d{13}_[0-9A-Za-z_-]{16,}$/);
const envelope = (name, body) => ({ event: constant(name), sequence_number: integer(1), stream_sid: SID, [name]: body });
const SHAPES = {
  connected: { event: constant("connected") },
  start: envelope("start", {
    stream_sid: SID, call_sid: CALL, account_sid: text(), from: text(/^.*$/), to: text(),
    // Ours, for Exotel-shaped bots; not in the seed.
    "custom_parameters?": (v) => (v !== null && typeof v === "object" ? null : "expected an object"),
    media_format: { encoding: text(/^(raw\/slin|audio\/x-(mu|a)law)$/), sample_rate: integer(8000, 24000) },
  }),
  media: envelope("media", { chunk: integer(1), timestamp: text(/^(0|[1-9]\d*)$/), payload: text() }),
  dtmf: envelope("dtmf", { digit: text(/^[0-9*#A-D]$/), duration: text(/^[1-9]\d*$/) }),
  mark: envelope("mark", { name: text() }),
  clear: { event: constant("clear"), stream_sid: SID },
  stop: envelope("stop", { call_sid: CALL, "account_sid?": text(), reason: text(/^(callended|stopped)$/) }),
  // A refused command is told in this form (the seed has no word for it).
  error: { event: constant("error"), stream_sid: SID, error: { code: text(), message: text(), command: text() } },
};

class IvrSolutions extends BotCall {
  static dialect = "ivr-solutions";
  hasMarks = true;
  hasClear = true;
  connected = false;
  sequence = 0;
  chunk = 0;
  pendingMarks = [];
  refusals = 0;

  onText(message) {
    const { judge } = this, msg = parseObject(judge, message);
    if (!msg) return;
    const name = msg.event;
    judge.note("in", name === "media" ? "media" : message.slice(0, 400));
    if (!Object.hasOwn(SHAPES, name)) return judge.violation(`unknown event ${short(name)}`);
    shape(judge, name, msg, SHAPES[name]);
    judge.expect(!judge.end.stop, `${name} after the stop`);
    if (name === "connected") {
      judge.expect(!this.connected && !judge.start, "connected: not the first message");
      this.connected = true;
      return;
    }
    judge.expect(this.connected, `${name} before connected`);
    if (name === "start") this.onStart(msg);
    else if (judge.expect(judge.start, `${name} before start`)) this.onEvent(name, msg);
  }

  checkNumber(name, msg) {
    if (name === "clear" || name === "error") return;
    this.sequence++;
    this.judge.expect(msg.sequence_number === this.sequence, `${name}.sequence_number: expected ${this.sequence}, was ${short(msg.sequence_number)}`);
    if (Number.isInteger(msg.sequence_number)) this.sequence = msg.sequence_number;
  }

  onStart(msg) {
    const { judge, args } = this;
    judge.expect(!judge.start, "a second start");
    this.checkNumber("start", msg);
    judge.expect(msg.start?.stream_sid === msg.stream_sid, "start.start.stream_sid differs from stream_sid");
    for (const [key, want] of [["from", args["expect-from"]], ["to", args["expect-to"]]])
      judge.expect(want === undefined || msg.start?.[key] === want, `start.${key}: expected ${want}, was ${short(msg.start?.[key])}`);
    const { encoding = "raw/slin", sample_rate = 8000 } = msg.start?.media_format ?? {};
    judge.expect(encoding === "raw/slin" || sample_rate === 8000, `start.media_format: ${encoding} at ${sample_rate}`);
    [this.decode, this.encode] = FORMATS[encoding] ?? FORMATS["raw/slin"];
    this.rate = sample_rate;
    this.started(msg);
  }

  onEvent(name, msg) {
    const { judge } = this;
    this.checkNumber(name, msg);
    judge.expect(msg.stream_sid === judge.start.stream_sid, `${name}.stream_sid differs from the start's`);
    if (name === "media") this.onMedia(msg.media ?? {});
    else if (name === "dtmf") this.heardDigit(String(msg.dtmf?.digit));
    else if (name === "mark") {
      const i = this.pendingMarks.indexOf(msg.mark?.name);
      judge.expect(i >= 0, `mark ${short(msg.mark?.name)} was not asked for, or came twice`);
      judge.expect(i <= 0, `mark ${short(msg.mark?.name)} out of order, ${this.pendingMarks[0]} was first`);
      if (i >= 0) this.pendingMarks.splice(i, 1);
      this.heardMark(msg.mark?.name);
    } else if (name === "clear") {
      judge.expect(this.pendingMarks.length === 0, `clear before the marks it flushed: ${this.pendingMarks}`);
      this.heardClear();
    } else if (name === "stop") {
      judge.expect(msg.stop?.call_sid === judge.start.start?.call_sid, "stop.call_sid differs from the start's");
      judge.end.stop = msg;
    } else judge.expect(this.refusals-- > 0, `an error that nothing asked for: ${short(msg.error)}`);
  }

  onMedia(media) {
    const { judge } = this, data = audioPayload(judge, "media.payload", media.payload ?? "");
    const before = String(Math.floor(judge.audioMs()));
    this.chunk++;
    judge.expect(media.chunk === this.chunk, `media.chunk: expected ${this.chunk}, was ${short(media.chunk)}`);
    judge.expect(media.timestamp === before, `media.timestamp: expected "${before}", was ${short(media.timestamp)}`);
    this.heardAudio(data.length, this.decode(data), () => this.sendBytes(data));
  }

  sendBytes(data) {
    if (this.args["audio-as"] === "json") this.ws.send(JSON.stringify({ type: "response.audio.delta", delta: data.toString("base64") }));
    else this.ws.send(data);
  }

  sendAudio(samples) {
    for (let i = 0; i < samples.length; i += this.rate / 10) this.sendBytes(this.encode(samples.subarray(i, i + this.rate / 10)));
  }

  sendDigit(digit) {
    this.say({ type: "session.dtmf", dtmf: digit });
  }

  sendMark(name) {
    this.pendingMarks.push(name);
    this.say({ event: "mark", stream_sid: this.judge.start.stream_sid, mark: { name } });
  }

  sendClear() {
    this.say('{ "type": "audio.clear" }');
  }

  hangup() {
    this.say('{ "type": "session.hangup" }');
  }

  act(name) {
    if (name === "say-after") this.refusals++;
    super.act(name);
  }

  /** Every example of §6 and §7 as it stands there. Transfers are sent last: each may be refused by an error event. */
  async seedExamples() {
    await sleep(500);
    this.say({ type: "response.audio.delta", delta: this.encode(tone(1000, 200, this.rate)).toString("base64") });
    this.say('{ "type": "session.dtmf", "dtmf": "123#" }');
    await sleep(1500);
    this.say('{ "type": "audio.clear" }');
    const many = '["09876543210", "09876543211", "09876543212"]';
    for (const rest of ['transfer", "destination": "09876543210" }', `transfer", "destination": ${many} }`, `transfer", "destination": ${many}, "strategy": "sequential" }`,
      'transfer_ws", "url": "wss://new-bot.example.com/voice" }', 'flow_transfer", "flow_id": "sales_flow" }', 'transfer_extension", "extension": "101" }']) {
      this.refusals++;
      this.say(`{ "type": "session.${rest}`);
    }
    await sleep(1000);
    this.hangup();
  }

  atEnd() {
    if (Object.keys(this.args.behaviour).some((b) => b.startsWith("close-"))) return;
    this.judge.expect(this.judge.end.stop, "stop is missing");
  }
}

serveBot(IvrSolutions);
