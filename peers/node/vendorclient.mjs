// What the Node vendors share: command line, WebSocket client, paced caller audio, a playing ear. The dialects are in vendor_*.mjs.
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { Judge } from "./judge.mjs";
import { dtmfDigits, joined, readWav, resample, writeWav } from "./sound.mjs";

const HELP = `A foreign vendor: dials the gateway, talks, and prints one VERDICT line.
  --url ws://127.0.0.1:PORT/ws/DIALECT/BOT   --header "Name: value"
  --log FILE.jsonl
  --play WAV                what the caller says, from its beginning
  --record OUT.wav          heard, in order of arrival; OUT.timeline.wav: as an ear would hear it (both 8 kHz)
  --seconds N   --digits 512@2s   --from NUMBER   --to NUMBER
  --hangup-by caller|bot    --end stop|close|reset
  --start-shape seed|live   ozonetel only
  --other-ucid              ozonetel only: the stop names another ucid, as in the seed's own script
  --no-cdr                  incoming-call only: seed 003's vendor
  --ring-seconds N          how long an answer is waited for
  --wait-ms N               silence between the connection and the first message
  --frame-ms N   --no-pace   --max-lead-ms N`;

function options() {
  const names = ["url", "log", "play", "record", "seconds", "digits", "from", "to", "hangup-by", "end", "start-shape", "wait-ms", "frame-ms", "max-lead-ms", "ring-seconds", "encoding"];
  const known = Object.fromEntries(names.map((n) => [n, { type: "string" }]));
  for (const flag of ["no-cdr", "no-pace", "other-ucid", "help"]) known[flag] = { type: "boolean" };
  known.header = { type: "string", multiple: true, default: [] };
  let v;
  try {
    v = parseArgs({ options: known }).values;
    const oneOf = { "hangup-by": ["caller", "bot"], end: ["stop", "close", "reset"], "start-shape": ["seed", "live"] };
    for (const [k, list] of Object.entries(oneOf)) if (v[k] !== undefined && !list.includes(v[k])) throw new Error(`--${k}: ${list.join("|")}`);
    if (!v.help && (!v.url || !v.play)) throw new Error("--url and --play are needed");
  } catch (e) {
    console.error(`${e.message}\n${HELP}`);
    process.exit(2);
  }
  if (v.help) {
    console.log(HELP);
    process.exit(0);
  }
  const [digits, at] = (v.digits ?? "").split("@");
  return { seconds: "10", from: "9876543210", to: "18001234567", "hangup-by": "caller", end: "stop", "start-shape": "seed", "wait-ms": "0", "ring-seconds": "35", ...v, digits, digitsAt: parseFloat(at ?? "2") };
}

/** Plays what arrives in real time, 60 ms behind the first sample, so that lead and clear can be judged. Times in ms. */
class Ear {
  static CUSHION = 60;

  constructor(rate) {
    Object.assign(this, { rate, t0: performance.now(), pieces: [], end: performance.now(), leadMsMax: 0, dry: 0, dryMs: 0 });
  }

  push(samples) {
    const now = performance.now();
    if (this.end <= now) {
      if (this.pieces.length && now - this.end < 1000) {
        this.dry++;
        this.dryMs += now - this.end;
      }
      this.end = now + Ear.CUSHION;
    }
    this.pieces.push([this.end, samples]);
    this.end += (samples.length * 1000) / this.rate;
    this.leadMsMax = Math.max(this.leadMsMax, this.end - now - Ear.CUSHION);
  }

  /** Forgets what was not played. */
  clear() {
    const now = performance.now();
    this.pieces = this.pieces.map(([at, s]) => [at, s.subarray(0, Math.max(0, Math.floor(((now - at) * this.rate) / 1000)))]).filter(([, s]) => s.length);
    this.end = Math.min(this.end, now);
  }

  timeline() {
    const out = new Int16Array(Math.floor(((this.end - this.t0) * this.rate) / 1000) + 1);
    for (const [at, s] of this.pieces) {
      const i = (Math.round((at - this.t0) * 8) * this.rate) / 8000; // on the 8 kHz grid: no fraction of a sample of delay
      out.set(s.subarray(0, Math.max(0, out.length - i)), i);
    }
    return out;
  }
}

/** The one call of a vendor. A dialect says how things are sent and judges what comes; this class acts. */
export class VendorCall {
  static dialect = "";
  frameMs = 20;
  rate = 8000;

  constructor(ws, args) {
    Object.assign(this, { ws, args, heard: [], botHungUp: false, sentFrames: 0, closeCode: null, leaving: false });
    this.judge = new Judge("vendor", this.constructor.dialect, args.log);
    this.ear = new Ear(this.rate);
    this.ready = new Promise((resolve) => (this.isReady = resolve));
    this.talkOver = new Promise((resolve) => (this.endTalk = resolve));
    this.closed = new Promise((resolve) => ws.on("close", (code) => resolve((this.closeCode = code))));
    ws.on("message", (data, binary) => (binary ? this.onBinary(data) : this.onText(data.toString("utf8"))));
    ws.on("error", (e) => this.judge.note("note", `socket: ${e.message}`));
  }

  // -- what a dialect fills in --
  begin() {}
  onText() {}
  onBinary(data) {
    this.judge.violation(`binary message of ${data.length} bytes in a text dialect`);
  }
  sendFrame() {}
  sendDigit() {}
  async goodbye() {}
  atEnd() {}

  say(message) {
    const text = typeof message === "string" ? message : JSON.stringify(message);
    this.judge.note("out", text.slice(0, 200));
    this.send(text);
  }

  send(data) {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(data);
  }

  async run() {
    const { judge, args } = this, wait = (promise, ms) => Promise.race([promise.then(() => true), sleep(ms, false)]);
    await sleep(Number(args["wait-ms"]));
    this.begin();
    const closedEarly = this.closed.then(() => {
      if (this.leaving) return;
      judge.end.hangup_by ??= "bot";
      judge.expect(args["hangup-by"] === "bot", "the gateway closed in the middle of the call");
      this.isReady();
      this.endTalk();
    });
    judge.expect(await wait(this.ready, Number(args["ring-seconds"]) * 1000), "the call was not answered");
    judge.countAudioFromNow();
    this.frameMs = Number(args["frame-ms"] ?? this.frameMs);
    this.talk();
    this.typeDigits();
    const byCaller = args["hangup-by"] === "caller", patience = Number(args.seconds) + (args["no-pace"] || byCaller ? 3 : 0);
    if (!(await wait(this.talkOver, patience * 1000))) judge.expect(byCaller, `the bot did not hang up in ${args.seconds} s`);
    this.leaving = true;
    if (this.closeCode === null) await this.leave();
    if (!(await wait(this.closed, 6000))) {
      judge.violation("the gateway did not close within 6 s of the end");
      this.ws.terminate();
      await this.closed;
    }
    await closedEarly;
    this.finish();
  }

  async leave() {
    this.judge.end.hangup_by ??= this.botHungUp ? "bot" : "caller";
    if (this.args.end === "reset") this.ws._socket.resetAndDestroy();
    else if (this.args.end === "close") this.ws.close(1000);
    else await this.goodbye();
  }

  /** Sends the caller's audio; frame n leaves at t0 + n * frame, however late the one before it was. */
  async talk() {
    const samples = readWav(this.args.play, this.rate), size = (this.rate * this.frameMs) / 1000, t0 = performance.now();
    const frames = Math.floor((Number(this.args.seconds) * 1000) / this.frameMs);
    for (let n = 0; n < frames && !this.leaving; n++) {
      const early = t0 + n * this.frameMs - performance.now();
      if (!this.args["no-pace"] && early > 0) await sleep(early);
      if (this.leaving) return;
      const i = (n * size) % Math.max(size, samples.length - size);
      this.sendFrame(samples.subarray(i, i + size));
      this.sentFrames++;
    }
    if (this.args["hangup-by"] === "caller") this.endTalk();
  }

  async typeDigits() {
    await sleep(this.args.digitsAt * 1000);
    for (const digit of this.args.digits) {
      if (this.leaving) return;
      this.sendDigit(digit);
      await sleep(300);
    }
  }

  heardAudio(bytes, samples) {
    this.judge.expect(!this.botHungUp, "audio after the bot's hang-up");
    this.judge.audio(bytes, samples.length);
    this.heard.push(samples);
    this.ear.push(samples);
  }

  heardHangup() {
    this.judge.expect(!this.botHungUp, "a second hang-up");
    this.judge.expect(this.args["hangup-by"] === "bot", "a hang-up that was not expected");
    this.botHungUp = true;
    this.endTalk();
  }

  finish() {
    const { judge, args, ear } = this, heard = joined(this.heard), lead = args["max-lead-ms"];
    judge.end.close_code = this.closeCode;
    if (args.end !== "reset") judge.expect([1000, 1001].includes(this.closeCode), `the connection ended with ${this.closeCode}`);
    this.atEnd();
    judge.expect(lead === undefined || ear.leadMsMax <= Number(lead), `lead: ${ear.leadMsMax.toFixed()} ms of audio waited in the ear`);
    Object.assign(judge.extra, {
      lead_ms_max: Math.round(ear.leadMsMax), dry: ear.dry, dry_ms: Math.round(ear.dryMs),
      sent_ms: this.sentFrames * this.frameMs, digits_inband: dtmfDigits(resample(heard, this.rate, 8000)),
    });
    if (!args.record) return;
    writeWav(args.record, resample(heard, this.rate, 8000), 8000);
    writeWav(args.record.replace(/(\.wav)?$/, ".timeline.wav"), resample(ear.timeline(), this.rate, 8000), 8000);
  }
}

export function dial(CallClass) {
  const args = options();
  const headers = Object.fromEntries(args.header.map((h) => [h.slice(0, h.indexOf(":")).trim(), h.slice(h.indexOf(":") + 1).trim()]));
  const ws = new WebSocket(args.url, { headers, perMessageDeflate: false, maxPayload: 2 ** 20, handshakeTimeout: 10000 });
  const report = (verdict) => {
    process.stdout.write("VERDICT " + JSON.stringify(verdict) + "\n");
    process.exit(verdict.ok ? 0 : 1);
  };
  const refused = (e) => report({ dialect: CallClass.dialect, role: "vendor", ok: false, violations: [`connect: ${e.message}`] });
  ws.once("error", refused);
  ws.once("open", async () => {
    ws.off("error", refused);
    const call = new CallClass(ws, args);
    await call.run();
    report(call.judge.verdict());
  });
}
