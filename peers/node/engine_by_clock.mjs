#!/usr/bin/env node
// A speech engine for many calls at once (OpenAI Realtime's newer names): it greets, takes each stretch of caller audio for an
// utterance, says which words it "heard", answers, and notes what went wrong. It understands nothing: its words are numbered.
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";

const { values } = parseArgs({
  options: {
    "utterance-ms": { type: "string", default: "1000" }, // caller audio that makes an utterance
    "answer-ms": { type: "string", default: "400" }, // audio of an answer
    "greeting-ms": { type: "string", default: "600" },
    hangup: { type: "string", default: "0" }, // after so many utterances it calls hang_up
  },
});
const UTTERANCE = Number(values["utterance-ms"]), ANSWER = Number(values["answer-ms"]), GREETING = Number(values["greeting-ms"]);
const HANGUP = Number(values.hangup);
let ids = 0;
const id = (prefix) => `${prefix}_${(++ids).toString(36)}`;

class Session {
  constructor(socket, path) {
    Object.assign(this, { socket, path, format: { type: "audio/pcm", rate: 24000 }, bytes: 0, deafUntil: 0, leaving: false, turns: 0, responses: 0, appended: 0, ready: false, problems: [] });
    socket.on("message", (text) => this.hear(JSON.parse(text)));
    socket.on("close", (code) => console.log(`SESSION ${JSON.stringify({ path, code, format: this.format, appended_ms: Math.floor(this.appended / this.perMs), turns: this.turns, responses: this.responses, problems: this.problems })}`));
    this.say("session.created", { session: { type: "realtime", object: "realtime.session", id: id("sess"), model: "by-clock" } });
  }

  say(type, fields) {
    if (this.socket.readyState === 1) this.socket.send(JSON.stringify({ type, event_id: id("event"), ...fields }));
  }

  /** Bytes of one millisecond. */
  get perMs() {
    return this.format.type === "audio/pcm" ? 48 : 8;
  }

  hear(message) {
    switch (message.type) {
      case "session.update":
        if (message.session?.type !== "realtime") this.problems.push("session.update without a type");
        this.format = message.session?.audio?.input?.format ?? this.format;
        this.say("session.updated", { session: { ...message.session, object: "realtime.session", id: id("sess") } });
        break;
      case "response.create":
        this.respond(this.responses === 0 ? GREETING : ANSWER, this.responses === 0 ? "Namaskar welcome" : `answer ${this.turns}`);
        break;
      case "input_audio_buffer.append":
        this.append(Math.floor((message.audio.length * 3) / 4));
        break;
      case "input_audio_buffer.commit":
        if (this.bytes > 0) this.commit();
        break;
      case "conversation.item.truncate":
      case "response.cancel":
      case "conversation.item.create":
        break;
      default:
        this.problems.push(`unexpected ${message.type}`);
    }
  }

  append(bytes) {
    this.appended += bytes;
    // Until its answer is heard it takes nothing for speech: callers of these tests never fall silent.
    if (this.appended < this.deafUntil || this.leaving) return;
    if (this.bytes === 0) {
      this.item = id("item");
      this.say("input_audio_buffer.speech_started", { audio_start_ms: Math.floor((this.appended - bytes) / this.perMs), item_id: this.item });
    }
    this.bytes += bytes;
    if (this.bytes < UTTERANCE * this.perMs) return;
    this.say("input_audio_buffer.speech_stopped", { audio_end_ms: Math.floor(this.appended / this.perMs), item_id: this.item });
    this.commit();
    if (HANGUP && this.turns === HANGUP) {
      this.leaving = true;
      this.call("hang_up", "{}");
    } else this.respond(ANSWER, `answer ${this.turns}`);
  }

  /** What was said becomes an item, with its words. */
  commit() {
    this.bytes = 0;
    this.turns++;
    const item_id = this.item;
    this.say("input_audio_buffer.committed", { item_id, previous_item_id: null });
    this.say("conversation.item.input_audio_transcription.completed", { item_id, content_index: 0, transcript: `caller words ${this.turns}`, usage: { type: "duration", seconds: 1 } });
  }

  call(name, args) {
    const response_id = id("resp"), item_id = id("item"), call_id = id("call");
    this.say("response.created", { response: { object: "realtime.response", id: response_id, status: "in_progress", output: [] } });
    this.say("response.function_call_arguments.done", { response_id, item_id, output_index: 0, call_id, name, arguments: args });
    this.say("response.done", { response: { object: "realtime.response", id: response_id, status: "completed", output: [{ id: item_id, type: "function_call", call_id, name, arguments: args }] } });
  }

  respond(ms, words) {
    this.responses++;
    this.deafUntil = this.appended + (ms + 300) * this.perMs;
    const response_id = id("resp"), item_id = id("item"), place = { response_id, item_id, output_index: 0, content_index: 0 };
    this.say("response.created", { response: { object: "realtime.response", id: response_id, status: "in_progress", output: [] } });
    this.say("response.output_item.added", { response_id, output_index: 0, item: { id: item_id, type: "message", role: "assistant", status: "in_progress", content: [] } });
    for (let left = ms; left > 0; left -= 100) {
      this.say("response.output_audio.delta", { ...place, delta: tone(Math.min(100, left), this.format) });
    }
    this.say("response.output_audio_transcript.delta", { ...place, delta: words });
    this.say("response.output_audio.done", place);
    this.say("response.output_audio_transcript.done", { ...place, transcript: words });
    this.say("response.output_item.done", { response_id, output_index: 0, item: { id: item_id, type: "message", role: "assistant", status: "completed", content: [{ type: "output_audio", transcript: words }] } });
    this.say("response.done", { response: { object: "realtime.response", id: response_id, status: "completed", output: [] } });
  }
}

/** Something that can be heard, as the wire wants it. */
const tones = new Map();
function tone(ms, format) {
  const key = `${ms} ${format.type}`;
  if (!tones.has(key)) {
    const pcm = format.type === "audio/pcm";
    const bytes = Buffer.alloc(ms * (pcm ? 48 : 8), 0);
    for (let i = 0; i < ms * (pcm ? 24 : 8); i++) {
      if (pcm) bytes.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 440 * i) / 24000)), i * 2);
      else bytes[i] = i % 18 < 9 ? 0x90 : 0x10;
    }
    tones.set(key, bytes.toString("base64"));
  }
  return tones.get(key);
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("connection", (socket, request) => new Session(socket, request.url));
server.on("listening", () => console.log(`LISTENING ${server.address().port}`));
process.on("SIGTERM", () => process.exit(0));
