#!/usr/bin/env node
// A foreign bot of the smartpbx dialect (seed 004): start, media both ways, dtmf, hangup. It hangs up by closing with 1000.
import { BotCall, serveBot } from "./botserver.mjs";
import { audioPayload, constant, integer, parseObject, shape, short, text } from "./judge.mjs";
import { fromBytes, mulawDecode, mulawEncode, toBytes } from "./sound.mjs";

const CALL = text(/^call_\d{13}_[0-9A-Za-z_-]{16,}$/), E164 = text(/^\+[1-9]\d{1,14}$/);
const RATES = { pcm16: 24000, g711_ulaw: 8000 };
const shapes = (number) => ({
  start: { event: constant("start"), start: {
    callId: CALL, otherLegCallId: text(), callerIdNumber: number, calleeIdNumber: number, accountId: text(),
    mediaFormat: { encoding: text(/^(pcm16|g711_ulaw)$/), sampleRate: integer(8000, 48000) } } },
  media: { event: constant("media"), media: { payload: text() } },
  dtmf: { event: constant("dtmf"), dtmf: { callId: CALL, otherLegCallId: text(), digit: text(/^[0-9*#A-D]$/), "duration?": integer(1) } },
  // accountId stands in no example of the seed, but real consumers of it require it.
  hangup: { event: constant("hangup"), hangup: {
    callId: CALL, otherLegCallId: text(), "accountId?": text(), reason: text(/^(NORMAL_CLEARING|USER_BUSY|NO_ANSWER|CALL_REJECTED|ORIGINATOR_CANCEL)$/) } },
});

class SmartPbx extends BotCall {
  static dialect = "smartpbx";

  onText(message) {
    const { judge } = this, msg = parseObject(judge, message);
    if (!msg) return;
    this.shapes ??= shapes(this.args["any-number"] ? text() : E164);
    const name = msg.event;
    judge.note("in", name === "media" ? "media" : message.slice(0, 400));
    if (!Object.hasOwn(this.shapes, name)) return judge.violation(`unknown event ${short(name)}`);
    shape(judge, name, msg, this.shapes[name]);
    judge.expect(!judge.end.hangup, `${name} after the hangup`);
    if (name === "start") return this.onStart(msg);
    if (!judge.expect(judge.start, `${name} before the start`)) return;
    if (name === "media") return this.onMedia(msg.media ?? {});
    for (const key of ["callId", "otherLegCallId"]) judge.expect(msg[name]?.[key] === judge.start.start?.[key], `${name}.${key} differs from the start's`);
    if (name === "dtmf") this.heardDigit(String(msg.dtmf?.digit));
    else {
      judge.expect([undefined, judge.start.start?.accountId].includes(msg.hangup?.accountId), "hangup.accountId differs from the start's");
      judge.end.hangup = msg;
    }
  }

  onStart(msg) {
    const { judge, args } = this, { encoding, sampleRate } = msg.start?.mediaFormat ?? {};
    judge.expect(!judge.start, "a second start");
    judge.expect(RATES[encoding] === sampleRate, `start.mediaFormat: ${short(encoding)} at ${short(sampleRate)}`);
    for (const [key, want] of [["callerIdNumber", args["expect-from"]], ["calleeIdNumber", args["expect-to"]]])
      judge.expect(want === undefined || msg.start?.[key] === want, `start.${key}: expected ${want}, was ${short(msg.start?.[key])}`);
    this.mulaw = encoding === "g711_ulaw";
    this.rate = this.mulaw ? 8000 : 24000;
    this.started(msg);
  }

  onMedia(media) {
    const data = audioPayload(this.judge, "media.payload", media.payload ?? "");
    this.judge.expect(this.mulaw || data.length % 2 === 0, "media.payload: half a sample");
    this.heardAudio(data.length, this.mulaw ? mulawDecode(data) : fromBytes(data), () => this.sendPayload(media.payload));
  }

  sendPayload(payload) {
    this.ws.send(JSON.stringify({ event: "media", media: { payload } }));
  }

  sendAudio(samples) {
    for (let i = 0; i < samples.length; i += this.rate / 50) {
      const frame = samples.subarray(i, i + this.rate / 50);
      this.sendPayload((this.mulaw ? mulawEncode(frame) : toBytes(frame)).toString("base64"));
    }
  }

  hangup() {
    this.ws.close(1000);
  }

  /** The seed's example of a payload is a WebM header, which no pcm16 or g711_ulaw call may play; then a plain echo. */
  async seedExamples() {
    this.sendPayload("GkXfo59ChoEBQveBAULygQRC84EIQoKEd2VibUKHgQCh");
  }

  atEnd() {
    if (this.judge.end.hangup_by !== "bot") this.judge.expect(this.judge.end.hangup, "hangup is missing");
  }
}

serveBot(SmartPbx);
