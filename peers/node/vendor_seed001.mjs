#!/usr/bin/env node
// Seed 001's vendor by its checklist, many calls at once: start, wait for the greeting without sending audio, media both ways, then
// one of the ways to leave; what stands in the gateway's data folder is looked at in the very moment of the close.
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import WebSocket from "ws";

const { values: args } = parseArgs({
  options: {
    url: { type: "string" },
    "data-dir": { type: "string" },
    calls: { type: "string", default: "1" },
    ucids: { type: "string" }, // JSON: the ucid of each call as it goes onto the wire
    "talk-ms": { type: "string", default: "5000" }, // from the greeting to the leaving
    end: { type: "string", default: "stop" }, // stop | own-stop | close | reset | silence | half-open | none
    "close-patience-ms": { type: "string", default: "10000" },
  },
});
const TALK = Number(args["talk-ms"]), PATIENCE = Number(args["close-patience-ms"]);

const samples = Array.from({ length: 80 }, (_, i) => Math.round(9000 * Math.sin((2 * Math.PI * 300 * i) / 8000)));
const mediaOf = (ucid) => JSON.stringify({ event: "media", type: "media", ucid, data: { samples, bitsPerSample: 16, sampleRate: 8000, channelCount: 1, numberOfFrames: 80, type: "data" } });

/** The files of a kind that are there, each with what it holds; one that cannot be read whole is null. */
function files(kind) {
  const folder = `${args["data-dir"]}/${kind}`;
  let names = [];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  } catch {
    return [];
  }
  return names.map((name) => {
    try {
      return { name, content: JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) };
    } catch {
      return { name, content: null };
    }
  });
}

function call(ucid) {
  return new Promise((resolve) => {
    const verdict = { ucid: typeof ucid === "string" ? ucid : null, heard: 0, sent: 0, heard_before_speaking: 0, wrong: [], close_code: null, stop_to_close_ms: null, left_at: null };
    const ws = new WebSocket(args.url, { autoPong: args.end !== "half-open" });
    let leftAt = null, media = null, given = null;
    const over = () => {
      clearInterval(media);
      clearTimeout(given);
      resolve(verdict);
    };
    const leave = () => {
      leftAt = performance.now();
      verdict.left_at = Date.now();
      given = setTimeout(() => {
        verdict.wrong.push(`no close within ${PATIENCE} ms`);
        ws.terminate();
        over();
      }, PATIENCE);
      if (args.end === "none") return;
      clearInterval(media);
      // The seed's own script makes another ucid for its stop.
      if (args.end === "stop") ws.send(JSON.stringify({ event: "stop", ucid: `TEST-${Date.now()}`, type: "text" }));
      if (args.end === "own-stop") ws.send(JSON.stringify({ event: "stop", ucid, type: "text" }));
      if (args.end === "close") ws.close();
      if (args.end === "reset") {
        ws._socket.resetAndDestroy();
        clearTimeout(given);
      }
    };
    ws.on("open", () => ws.send(JSON.stringify({ event: "start", ucid, type: "text" })));
    ws.on("message", (text) => {
      let message = {};
      try {
        message = JSON.parse(text);
      } catch {
        verdict.wrong.push("a message that is no JSON");
      }
      // A platform hangs up when it is told to, and says so.
      if (message.command === "callDisconnect") ws.send(JSON.stringify({ event: "stop", ucid, type: "text" }));
      if (message.command) return;
      const data = message.data ?? {};
      const isMedia = message.event === "media" && message.type === "media" && message.ucid === ucid && data.samples?.length === 80 && data.sampleRate === 8000 && data.bitsPerSample === 16 && data.channelCount === 1 && data.numberOfFrames === 80 && data.type === "data";
      if (!isMedia) verdict.wrong.push(`unexpected ${String(text).slice(0, 100)}`);
      if (verdict.sent === 0) verdict.heard_before_speaking++;
      verdict.heard++;
      // "Wait for greeting from agent", then speak.
      if (media === null && data.samples?.some((sample) => Math.abs(sample) > 1000)) {
        const frame = mediaOf(ucid), began = performance.now();
        media = setInterval(() => {
          for (; verdict.sent < (performance.now() - began) / 10; verdict.sent++) ws.send(frame);
        }, 10);
        setTimeout(leave, TALK);
      }
    });
    ws.on("error", (error) => verdict.wrong.push(error.message));
    ws.on("close", (code) => {
      verdict.close_code = code;
      if (leftAt !== null) verdict.stop_to_close_ms = Math.round(performance.now() - leftAt);
      if (args["data-dir"]) {
        const mine = (file) => file.content?.ucid === ucid;
        verdict.transcripts = files("transcripts").filter(mine).map((file) => ({ name: file.name, said: file.content.conversation.length, bot: file.content.conversation.some((line) => line.role === "bot") }));
        verdict.call_files = files("calls").filter(mine).map((file) => file.name);
      }
      over();
    });
  });
}

const ucids = args.ucids ? JSON.parse(args.ucids) : Array.from({ length: Number(args.calls) }, (_, i) => `TEST-${Date.now()}-${process.pid}-${i}`);
const verdicts = await Promise.all(ucids.map(call));
console.log(`VERDICT ${JSON.stringify({ calls: verdicts })}`);
process.exit(0);
