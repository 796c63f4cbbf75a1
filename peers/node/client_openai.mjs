// The realtime client of the npm package `openai` (it dials wss and nothing else) against a server that speaks like the service.
// usage: client_openai.mjs --url wss://HOST/ws/openai-realtime/BOT --ca FILE --play WAV [--record WAV] [--format audio/pcmu]
// Prints one VERDICT line: a session, a turn and its answer, a truncation, each in the package's own events.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { OpenAI } from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { WebSocket } from "ws";
import { mulawDecode, mulawEncode, readWav, toBytes, writeWav, resample } from "./sound.mjs";

const option = { type: "string" };
const { values: args } = parseArgs({ options: { url: option, ca: option, key: option, format: option, play: option, record: option } });
const pcmu = args.format === "audio/pcmu";
const rate = pcmu ? 8000 : 24000;
const version = JSON.parse(readFileSync(new URL("node_modules/openai/package.json", import.meta.url))).version;
const violations = [], kinds = {}, heard = [], itemMs = {}, waiting = [];

const baseURL = args.url.replace(/^ws/, "http");
const client = new OpenAI({ apiKey: args.key ?? "sk-test", baseURL });
const options = args.ca ? { ca: readFileSync(args.ca) } : {};
const rt = new OpenAIRealtimeWS({ model: "gpt-realtime", options }, client);
const closed = new Promise((resolve) => rt.socket.on("close", resolve));

const take = (event) => {
  kinds[event.type] = (kinds[event.type] ?? 0) + 1;
  if (event.type === "response.output_audio.delta") {
    const data = Buffer.from(event.delta, "base64");
    const samples = pcmu ? mulawDecode(data) : new Int16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
    heard.push(samples);
    itemMs[event.item_id] = (itemMs[event.item_id] ?? 0) + (samples.length * 1000) / rate;
  }
  for (const one of waiting.filter((one) => one.kind === event.type)) {
    waiting.splice(waiting.indexOf(one), 1);
    one.resolve(event);
  }
};
const coming = (kind) => new Promise((resolve, reject) => {
  waiting.push({ kind, resolve });
  setTimeout(() => reject(new Error(`${kind} never came`)), 30_000).unref();
});
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
const append = (samples) => {
  const data = pcmu ? mulawEncode(samples) : toBytes(samples);
  rt.send({ type: "input_audio_buffer.append", audio: Buffer.from(data).toString("base64") });
};
let streaming = true;
const stream = async (samples) => {
  const began = Date.now();
  for (let at = 0; at < samples.length && streaming; at += rate / 50) {
    await sleep(began + (at * 1000) / rate - Date.now());
    append(samples.subarray(at, at + rate / 50));
  }
};

// As a page of the web does it, which cannot set headers: the key is a subprotocol, and one must be agreed to.
const asAPage = () => new Promise((resolve, reject) => {
  const protocols = ["realtime", `openai-insecure-api-key.${args.key ?? "sk-test"}`];
  const page = new WebSocket(`${args.url}/realtime?model=gpt-realtime`, protocols, options);
  page.on("error", reject);
  page.on("message", (text) => {
    if (JSON.parse(text).type !== "session.created") violations.push("the first event is no session.created");
    page.close(1000);
  });
  page.on("close", resolve);
});

const talk = async () => {
  await coming("session.created");
  append(new Int16Array(rate / 10));
  const format = pcmu ? { type: "audio/pcmu" } : { type: "audio/pcm", rate: 24000 };
  const session = { type: "realtime", instructions: "Repeat.", audio: { input: { format, turn_detection: { type: "server_vad" } }, output: { format } } };
  for (let i = 0; i < 2; i++) {
    const updated = coming("session.updated");
    rt.send({ type: "session.update", session });
    await updated;
  }
  const over = coming("response.done"), stopped = coming("input_audio_buffer.speech_stopped");
  const said = readWav(args.play, rate).subarray(0, 2 * rate);
  await stream(new Int16Array(rate / 2));
  await stream(said);
  const silence = stream(new Int16Array(30 * rate));
  await stopped;
  const { response } = await over;
  streaming = false;
  await silence;
  if (response.status !== "completed") violations.push(`the response is ${response.status}`);
  const [item, ms] = Object.entries(itemMs).at(-1) ?? [];
  if (item === undefined) throw new Error("nothing was heard");
  const truncated = coming("conversation.item.truncated");
  rt.send({ type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms: Math.floor(ms / 2) });
  await truncated;
  rt.close({ code: 1000, reason: "OK" });
  await closed;
};

rt.on("event", take);
const talking = talk().catch((error) => violations.push(error.message));
rt.on("error", (error) => violations.push(`the client says ${error.message}`));
await asAPage().catch((error) => violations.push(`as a page: ${error.message}`));
await talking;
const length = heard.reduce((sum, part) => sum + part.length, 0);
const all = new Int16Array(length);
heard.reduce((at, part) => (all.set(part, at), at + part.length), 0);
if (args.record) writeWav(args.record, resample(all, rate, 8000), 8000);
const verdict = { ok: violations.length === 0, violations, events: kinds, audio_ms: Math.round((length * 1000) / rate), package: `openai ${version}` };
console.log("VERDICT", JSON.stringify(verdict));
process.exit(verdict.ok ? 0 : 1);
