#!/usr/bin/env node
// A speech engine that talks by a script (OpenAI Realtime's newer names): it hears by loudness when the caller begins and ceases, has
// the script's words for it, answers with audio of a level of its own for each turn, is cut off when the caller speaks, and notes
// what it was told of how much was heard.
import { readFileSync } from "node:fs";
import { WebSocketServer } from "ws";

const script = JSON.parse(readFileSync(process.argv[2], "utf8")); // [{ caller, bot, audio_ms, think_ms, breaks_after_ms? }]
const STARTS = 60, ENDS = 400; // loudness, silence that make a beginning, an end, in ms
const level = (turn) => 4000 + 2000 * turn;
const verdict = { truncated: {}, sent: {}, problems: [], cancelled: 0, sessions: 0, remembered: [] };
let turns = 0;

class Session {
  constructor(socket) {
    verdict.sessions++;
    Object.assign(this, { socket, rate: 24, loud: 0, quiet: 0, speaks: false, active: null });
    socket.on("message", (text) => this.hear(JSON.parse(text)));
    socket.on("close", () => turns === script.length && console.log(`VERDICT ${JSON.stringify(verdict)}`));
    this.say("session.created", { session: { type: "realtime", object: "realtime.session", id: "sess_1", model: "by-script" } });
  }

  say(type, fields) {
    if (this.socket.readyState === 1) this.socket.send(JSON.stringify({ type, event_id: `event_${type}`, ...fields }));
  }

  hear(message) {
    switch (message.type) {
      case "session.update":
        this.pcm = message.session.audio.input.format.type === "audio/pcm";
        if (!this.pcm) verdict.problems.push("only linear audio is understood here");
        this.say("session.updated", { session: message.session });
        break;
      case "input_audio_buffer.append":
        this.append(Buffer.from(message.audio, "base64"));
        break;
      case "input_audio_buffer.commit":
        if (this.speaks) this.ends();
        break;
      case "conversation.item.truncate":
        this.truncate(message);
        break;
      case "conversation.item.create":
        verdict.remembered.push(`${message.item.role}: ${message.item.content[0].text}`);
        break;
      default:
        verdict.problems.push(`unexpected ${message.type}`);
    }
  }

  truncate({ item_id, content_index, audio_end_ms }) {
    const turn = Number(item_id.split("_").pop());
    if (content_index !== 0 || !(audio_end_ms <= verdict.sent[turn])) verdict.problems.push(`truncated ${item_id} at ${audio_end_ms} of ${verdict.sent[turn]}`);
    if (turn in verdict.truncated) verdict.problems.push(`${item_id} is truncated twice`);
    verdict.truncated[turn] = audio_end_ms;
    this.say("conversation.item.truncated", { item_id, content_index, audio_end_ms });
  }

  append(audio) {
    const samples = audio.length / 2;
    let squares = 0;
    for (let i = 0; i < samples; i++) squares += audio.readInt16LE(2 * i) ** 2;
    const ms = samples / this.rate, isLoud = Math.sqrt(squares / samples) > 1000;
    this.loud = isLoud ? this.loud + ms : 0;
    this.quiet = isLoud ? 0 : this.quiet + ms;
    if (!this.speaks && this.loud >= STARTS) this.begins();
    if (this.speaks && this.quiet >= ENDS) this.ends();
  }

  begins() {
    this.speaks = true;
    this.say("input_audio_buffer.speech_started", { audio_start_ms: 0, item_id: `caller_${turns}` });
    if (this.active !== null) {
      verdict.cancelled++;
      this.finish("cancelled");
    }
  }

  ends() {
    this.speaks = false;
    const turn = turns++, line = script[turn], item_id = `caller_${turn}`;
    if (!line) return verdict.problems.push("a turn that is not in the script");
    this.say("input_audio_buffer.speech_stopped", { audio_end_ms: 0, item_id });
    this.say("input_audio_buffer.committed", { item_id, previous_item_id: null });
    setTimeout(() => this.say("conversation.item.input_audio_transcription.completed", { item_id, content_index: 0, transcript: line.caller }), 150);
    setTimeout(() => this.respond(turn, line), line.think_ms);
  }

  respond(turn, line) {
    const response_id = `resp_${turn}`, item_id = `item_${turn}`, place = { response_id, item_id, output_index: 0, content_index: 0 };
    this.active = response_id;
    this.say("response.created", { response: { object: "realtime.response", id: response_id, status: "in_progress", output: [] } });
    this.say("response.output_item.added", { response_id, output_index: 0, item: { id: item_id, type: "message", role: "assistant", status: "in_progress", content: [] } });
    const pcm = Buffer.alloc(100 * this.rate * 2);
    for (let i = 0; i < pcm.length; i += 2) pcm.writeInt16LE(level(turn), i);
    for (let sent = 0; sent < line.audio_ms; sent += 100) this.say("response.output_audio.delta", { ...place, delta: pcm.toString("base64") });
    verdict.sent[turn] = line.audio_ms;
    for (const word of line.bot.split(/(?= )/)) this.say("response.output_audio_transcript.delta", { ...place, delta: word });
    this.say("response.output_audio.done", place);
    this.say("response.output_audio_transcript.done", { ...place, transcript: line.bot });
    // A response of an engine is over long before it was heard; the caller's speech then cuts off what is heard, not what is made.
    setTimeout(() => this.active === response_id && this.finish("completed"), 200);
    // An engine that is gone says no goodbye.
    if (line.breaks_after_ms) setTimeout(() => this.socket._socket.resetAndDestroy(), line.breaks_after_ms);
  }

  finish(status) {
    const id = this.active;
    this.active = null;
    this.say("response.done", { response: { object: "realtime.response", id, status, output: [] } });
  }
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("connection", (socket) => new Session(socket));
server.on("listening", () => console.log(`LISTENING ${server.address().port}`));
process.on("SIGTERM", () => process.exit(0));
