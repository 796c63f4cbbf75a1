// What the Node bots share: command line, WebSocket server, behaviours, the scripted call. The dialects are in bot_*.mjs.
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocketServer } from "ws";
import { Judge } from "./judge.mjs";
import { dtmfTone, joined, readWav, resample, tone, writeWav } from "./sound.mjs";

const HELP = `A foreign bot. Prints LISTENING port, then one VERDICT line a call.
  --listen 127.0.0.1:0     where to listen
  --log FILE.jsonl         everything heard and said (audio as its length)
  --play WAV               said right after the start, in one burst, before the echo begins
  --record WAV             what the caller said, in order of arrival (8 kHz); %n is the call's number
  --behaviour LIST         echo | script | seed | wait-answer=S | hangup-after=S | say-after=S | close-CODE=S | reset=S, joined by commas
  --say TEXT               the message of say-after, as it stands; it may be refused
  --calls N                exit after N calls; 0 = at SIGTERM
  --frame-ms N             expected caller audio per message
  --pace-tolerance-ms N    0 = do not judge the pace
  --max-gap-ms N           longest pause between audio messages
  --expect-from, --expect-to NUMBER   --expect-header "Name: value" (that the handshake must carry)
  --audio-as binary|json   ivr-solutions: how the bot's audio is sent
  --any-number             smartpbx: numbers need not be E.164`;

function options() {
  const names = ["listen", "log", "play", "record", "behaviour", "calls", "frame-ms", "pace-tolerance-ms", "max-gap-ms", "say", "expect-from", "expect-to", "audio-as"];
  const known = Object.fromEntries(names.map((n) => [n, { type: "string" }]));
  known["expect-header"] = { type: "string", multiple: true, default: [] };
  for (const flag of ["any-number", "help"]) known[flag] = { type: "boolean" };
  let values;
  try {
    values = parseArgs({ options: known }).values;
  } catch (e) {
    usage(e.message);
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const behaviour = Object.fromEntries((values.behaviour ?? "echo").replaceAll(" ", "=").split(",").map((b) => [b.split("=")[0], b.split("=")[1] ?? ""]));
  for (const name of Object.keys(behaviour))
    if (!["echo", "script", "seed", "wait-answer", "hangup-after", "say-after", "reset"].includes(name) && !/^close-\d+$/.test(name)) usage(`unknown behaviour ${name}`);
  return { listen: "127.0.0.1:0", calls: "0", "pace-tolerance-ms": "250", "audio-as": "binary", ...values, behaviour };
}

function usage(message) {
  console.error(`${message}\n${HELP}`);
  process.exit(2);
}

/** One call of a bot. A dialect says how things are sent and judges what comes; this class acts. */
export class BotCall {
  static dialect = "";
  frameMs = 20;
  rate = 8000;
  hasMarks = false;
  hasClear = false;

  constructor(ws, number, args, request) {
    Object.assign(this, { ws, number, args });
    this.judge = new Judge("bot", this.constructor.dialect, args.log);
    Object.assign(this, { heard: [], echoing: true, over: false, saw512: false, markTimes: {}, clearTime: null, scriptDone: false, silentUntil: 0 });
    this.judge.extra.path = request.url;
    for (const [name, want] of args["expect-header"].map((h) => h.split(/:(.*)/s)))
      this.judge.expect(request.headers[name.trim().toLowerCase()] === want?.trim(), `header ${name} is not as configured`);
  }

  // -- what a dialect fills in --
  onText() {}
  onBinary(data) {
    this.judge.violation(`binary message of ${data.length} bytes in a text dialect`);
  }
  sendAudio() {}
  sendDigit(digit) {
    this.sendAudio(dtmfTone(digit, 200, this.rate));
  }
  sendMark() {}
  sendClear() {}
  hangup() {}
  async seedExamples() {}
  atEnd() {}

  // -- the course of a call --
  finish(closeCode) {
    if (this.over) return;
    this.over = true;
    const { judge, args } = this;
    judge.end.close_code = closeCode;
    judge.expect(judge.start !== null, "the call never started");
    if (!("reset" in args.behaviour)) {
      this.atEnd();
      judge.expect(closeCode !== 1006, "the connection ended without a close frame");
    }
    judge.checkPace(Number(args["pace-tolerance-ms"]));
    if (args["max-gap-ms"]) judge.expect(judge.gapMsMax <= Number(args["max-gap-ms"]), `gap: ${judge.gapMsMax.toFixed()} ms between audio messages`);
    if ("script" in args.behaviour) {
      judge.expect(this.saw512, "script: the digits 512 did not arrive");
      judge.expect(this.scriptDone, "script: not finished before the call ended");
    }
    if (args.record) writeWav(args.record.replace("%n", this.number), resample(joined(this.heard), this.rate, 8000), 8000);
  }

  /** Sends one text message (and logs it). */
  say(message) {
    const text = typeof message === "string" ? message : JSON.stringify(message);
    this.judge.note("out", text.slice(0, 200));
    this.ws.send(text);
  }

  /** The dialect saw its start: behaviours begin. */
  started(start) {
    const { judge, args } = this;
    judge.start = start;
    judge.rate = this.rate;
    judge.countAudioFromNow();
    for (const [name, value] of Object.entries(args.behaviour)) {
      if (name === "script") this.script();
      else if (name === "seed") this.seedExamples();
      else if (name !== "echo" && name !== "wait-answer") setTimeout(() => this.act(name), Number(value || 1) * 1000);
    }
    if (args.play) {
      const samples = readWav(args.play, this.rate);
      this.sendAudio(samples);
      this.silentUntil = judge.ms() + (samples.length * 1000) / this.rate;
    }
  }

  act(name) {
    if (this.over) return;
    this.judge.note("note", `behaviour ${name}`);
    if (name === "say-after") this.say(this.args.say);
    else if (name === "reset") this.ws._socket.resetAndDestroy();
    else {
      this.judge.end.hangup_by = "bot";
      if (name === "hangup-after") this.hangup();
      else this.ws.close(Number(name.slice(6)));
    }
  }

  /** Caller audio arrived; `rawEcho` sends it back just as it came. */
  heardAudio(bytes, samples, rawEcho) {
    const { judge, args } = this, want = Number(args["frame-ms"] ?? this.frameMs);
    judge.audio(bytes, samples.length);
    judge.expect(samples.length * 1000 === want * this.rate, `audio message of ${samples.length} samples, expected ${want} ms`);
    if (args.record) this.heard.push(samples);
    if (this.echoing && judge.ms() >= this.silentUntil) rawEcho();
  }

  heardDigit(digit) {
    this.judge.digits.push(digit);
    if (this.judge.digits.join("").endsWith("512")) this.saw512 = true;
  }

  heardMark(name) {
    this.judge.marks.push(name);
    this.markTimes[name] = this.judge.ms();
  }

  heardClear() {
    this.judge.clears++;
    this.clearTime = this.judge.ms();
  }

  async until(condition, seconds, what) {
    const deadline = this.judge.ms() + seconds * 1000;
    while (!condition()) {
      if (this.over) return false;
      if (this.judge.ms() > deadline) return this.judge.expect(false, `script: ${what}`);
      await sleep(5);
    }
    return true;
  }

  /** The scripted call: after 512, audio with a mark, a digit, a clear that cuts 3 s short, a mark with nothing before it. */
  async script() {
    const { judge } = this;
    if (!(await this.until(() => this.saw512, 3600, "no digits"))) return;
    this.echoing = false;
    let sent = judge.ms();
    this.sendAudio(tone(1000, 500, this.rate));
    if (this.hasMarks) {
      this.sendMark("m1");
      if (await this.until(() => "m1" in this.markTimes, 3, "mark m1 was not answered in 3 s")) {
        const took = this.markTimes.m1 - sent;
        judge.extra.mark_ms = Math.round(took);
        judge.expect(took >= 420, `script: mark m1 came ${took.toFixed()} ms after 500 ms of audio were sent, before they were played`);
        judge.expect(took <= 1500, `script: mark m1 came ${took.toFixed()} ms after 500 ms of audio were sent, long after they were played`);
      }
    } else await sleep(600);
    this.sendDigit("7");
    await sleep(400);
    if (this.hasClear) await this.scriptedClear();
    if (this.hasMarks) {
      sent = judge.ms();
      this.sendMark("m4");
      if (await this.until(() => "m4" in this.markTimes, 1, "mark m4 (nothing before it) was not answered")) {
        const took = this.markTimes.m4 - sent;
        judge.expect(took <= 250, `script: mark m4 (nothing before it) took ${took.toFixed()} ms`);
      }
    }
    this.echoing = this.scriptDone = !this.over;
    judge.note("note", "script done");
  }

  async scriptedClear() {
    const { judge } = this;
    this.sendAudio(tone(1500, 3000, this.rate));
    this.sendMark("m2");
    this.sendMark("m3");
    await sleep(300);
    judge.expect(!("m2" in this.markTimes), "script: mark m2 came before its audio was played or cleared");
    const sent = judge.ms();
    this.sendClear();
    if (await this.until(() => "m3" in this.markTimes, 1, "marks m2, m3 were not returned after the clear"))
      judge.expect(judge.marks.slice(-2).join() === "m2,m3", `script: marks out of order: ${judge.marks}`);
    if (await this.until(() => this.clearTime !== null, 1, "clear was not told")) {
      judge.extra.clear_ms = Math.round(this.clearTime - sent);
      judge.expect(this.clearTime >= (this.markTimes.m3 ?? Infinity), "script: clear was told before the marks it flushed");
    }
    await sleep(300);
  }
}

export function serveBot(CallClass) {
  const args = options();
  const at = args.listen.lastIndexOf(":");
  const server = new WebSocketServer({ host: args.listen.slice(0, at), port: Number(args.listen.slice(at + 1)), perMessageDeflate: false, maxPayload: 2 ** 20 });
  const open = new Set();
  let count = 0, judged = 0, allGood = true;

  function close(call, code) {
    if (!open.delete(call)) return;
    call.finish(code);
    const verdict = call.judge.verdict();
    judged++;
    allGood &&= verdict.ok;
    process.stdout.write("VERDICT " + JSON.stringify(verdict) + "\n");
    if (Number(args.calls) && judged >= Number(args.calls)) exit();
  }

  function exit() {
    for (const call of [...open]) {
      call.judge.violation("the call was still open when the bot was stopped");
      close(call, null);
    }
    process.exit(judged > 0 && allGood ? 0 : 1);
  }

  server.on("listening", () => process.stdout.write(`LISTENING ${server.address().port}\n`));
  server.on("error", (e) => usage(e.message));
  server.on("connection", (ws, request) => {
    const call = new CallClass(ws, ++count, args, request);
    open.add(call);
    ws.on("message", (data, binary) => (binary ? call.onBinary(data) : call.onText(data.toString("utf8"))));
    ws.on("error", (e) => call.judge.note("note", `socket: ${e.message}`));
    ws.on("close", (code) => close(call, code));
  });
  process.on("SIGTERM", exit);
  process.on("SIGINT", exit);
}
