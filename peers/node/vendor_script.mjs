#!/usr/bin/env node
// A vendor of seed 001 whose caller talks by a script: speaks, listens, and now and then cuts the agent off; it counts what it
// received of each answer (each has a level of its own) until it was told to drop what it has.
import { readFileSync } from "node:fs";
import WebSocket from "ws";

const script = JSON.parse(readFileSync(process.argv[2], "utf8")); // [{ speaks_ms, cut_after_ms }]
const level = (turn) => 4000 + 2000 * turn;
const ucid = "SCRIPT-1";
const ws = new WebSocket(process.argv[3]);
const frame = (value) => JSON.stringify({ event: "media", type: "media", ucid, data: { samples: Array.from({ length: 80 }, (_, i) => Math.round(value * Math.sin((2 * Math.PI * 300 * i) / 8000))), bitsPerSample: 16, sampleRate: 8000, channelCount: 1, numberOfFrames: 80, type: "data" } });
const LOUD = frame(9000), SILENT = frame(0);
const verdict = { received_ms: {}, response_ms: {}, clears: 0, late_ms: 0, problems: [] };
const late = []; // how late this program itself was woken, in ms
let turn = -1, speaksUntil = 0, lastLoud = 0, firstHeard = 0, lastHeard = 0, leaving = false;

function begins() {
  turn++;
  if (turn === script.length) {
    leaving = true;
    ws.send(JSON.stringify({ event: "stop", ucid, type: "text" }));
    return;
  }
  speaksUntil = performance.now() + script[turn].speaks_ms;
  firstHeard = 0;
}

function tick(now) {
  if (leaving || turn < 0) return;
  if (now < speaksUntil || firstHeard === 0) return;
  const cut = script[turn].cut_after_ms;
  if (cut ? now - firstHeard >= cut : now - lastHeard >= 700) begins();
}

ws.on("open", () => {
  ws.send(JSON.stringify({ event: "start", ucid, type: "text" }));
  const began = performance.now();
  let sent = 0, woken = began;
  setInterval(() => {
    const now = performance.now();
    late.push(Math.max(0, now - woken - 5));
    woken = now;
    for (; sent < (now - began) / 10 && ws.readyState === 1 && !leaving; sent++) {
      const isLoud = now < speaksUntil;
      ws.send(isLoud ? LOUD : SILENT);
      if (isLoud) lastLoud = now; // a frame is sent when it has been said
    }
    tick(now);
  }, 5);
  setTimeout(begins, 600);
});
ws.on("message", (text) => {
  const message = JSON.parse(text), now = performance.now();
  if (message.command) {
    verdict.clears += message.command === "clearBuffer" ? 1 : 0;
    return;
  }
  const heard = new Map();
  for (const sample of message.data.samples) {
    const at = Math.round((sample - 4000) / 2000);
    if (at >= 0 && at < script.length && Math.abs(sample - level(at)) < 300) heard.set(at, (heard.get(at) ?? 0) + 1);
  }
  for (const [at, samples] of heard) verdict.received_ms[at] = (verdict.received_ms[at] ?? 0) + samples / 8;
  // Where the level steps, a filter rings through others.
  if ((heard.get(turn) ?? 0) >= 40) {
    lastHeard = now;
    if (firstHeard === 0) {
      firstHeard = now;
      verdict.response_ms[turn] = Math.round(now - lastLoud);
    }
  }
});
ws.on("error", (error) => verdict.problems.push(error.message));
ws.on("close", (code) => {
  late.sort((a, b) => a - b);
  verdict.late_ms = Math.round(late[Math.floor(late.length * 0.95)] ?? 0);
  if (code !== 1000) verdict.problems.push(`closed with ${code}`);
  console.log(`VERDICT ${JSON.stringify(verdict)}`);
  process.exit(0);
});
