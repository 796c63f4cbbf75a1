#!/usr/bin/env node
// Talks to built-in bots as somebody with a browser does: a microphone that hears a WAV, keys, tones; looks at what the page shows and
// keeps what it plays and what the server recorded, for wavcheck.py.
// usage: talk.mjs --url http://127.0.0.1:8080 --out FOLDER --microphone SOUND.wav [--seconds 10]
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { conclude, judge, openBrowser, openPage, options, themes, walk, widths } from "./browser.mjs";

const { url: base, out, microphone, seconds = "10" } = options(process.argv.slice(2));
const violations = [];
const must = (isSo, text) => isSo || violations.push(text);
await mkdir(out, { recursive: true });
// Chromium opens no file by a path with `..` in it.
const browser = await openBrowser({ fakeMicrophone: resolve(microphone) });

// Has the page keep what goes to the loudspeaker: what is connected to it is connected to a listener as well.
function tap() {
  window.__played = [];
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode) {
      const ear = this.context.createMediaStreamDestination();
      connect.call(this, ear);
      const [track] = ear.stream.getAudioTracks();
      const frames = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 }).readable.getReader();
      (async () => {
        for (let { done, value } = await frames.read(); !done; { done, value } = await frames.read()) {
          const samples = new Float32Array(value.numberOfFrames);
          value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
          window.__playedRate = value.sampleRate;
          window.__played.push(samples);
          value.close();
        }
      })();
    }
    return connect.call(this, to, ...rest);
  };
}

// 16 bits, the same on both channels.
function wav(samples, rate) {
  const bytes = Buffer.alloc(44 + samples.length * 4);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + samples.length * 4, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(2, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(rate * 4, 28);
  bytes.writeUInt16LE(4, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(samples.length * 4, 40);
  samples.forEach((sample, at) => {
    const value = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
    bytes.writeInt16LE(value, 44 + at * 4);
    bytes.writeInt16LE(value, 46 + at * 4);
  });
  return bytes;
}

// A page whose audio worklets run: playwright has the browser hold every new worklet for a debugger, and lets it wait for ever.
async function openTalk({ theme, width, allow = [], before } = {}) {
  const opened = await openPage(browser, { base, theme, width, violations, allowed: allow });
  const { context, page } = opened;
  if (before) await page.addInitScript(before);
  const debug = await context.newCDPSession(page);
  debug.on("Target.attachedToTarget", ({ sessionId }) => {
    const message = JSON.stringify({ id: 1, method: "Runtime.runIfWaitingForDebugger" });
    debug.send("Target.sendMessageToTarget", { sessionId, message }).catch(() => {});
  });
  const filter = [{ type: "page", exclude: true }, {}];
  await debug.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false, filter });
  return opened;
}

async function api(page, method, path, body) {
  return page.evaluate(
    async ([method, path, body]) => {
      const headers = body ? { "content-type": "application/json" } : {};
      const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
      return { status: response.status, text: await response.text() };
    },
    [method, path, body],
  );
}

// Asks until the answer is as wanted.
async function until(ask, isRight) {
  for (let tries = 0; ; tries += 1) {
    const answer = await ask();
    if (isRight(answer) || tries === 50) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
async function newest(page) {
  const answer = await until(() => api(page, "GET", "/calls?limit=1"), ({ text }) => JSON.parse(text).data[0]?.from === "browser");
  return JSON.parse(answer.text).data[0] ?? {};
}

const log = (page) => page.getByRole("log", { name: "What happened" });
async function call(page) {
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await page.getByText("Talking", { exact: true }).waitFor({ timeout: 10_000 });
}
async function hangUp(page) {
  await page.getByRole("button", { name: "Hang up" }).click();
  await page.getByText("Over", { exact: true }).waitFor({ timeout: 10_000 });
}
async function callId(page) {
  const href = await page.getByRole("link", { name: "Open the call" }).getAttribute("href");
  return decodeURIComponent(href.split("/").at(-1));
}

// A call to the echo by microphone: what comes back is kept from both ends.
async function echo() {
  const { context, page } = await openTalk({ before: tap });
  await page.goto(`${base}/#/talk?bot=echo`);
  await page.getByLabel("Take echo and noise out").uncheck();
  await call(page);
  const up = await newest(page);
  must(up.from === "browser" && up.bot === "echo", `the call is from ${up.from} to ${up.bot}`);
  const ordered = await api(page, "POST", `/calls/${up.call_id}/recording`, { action: "start" });
  must(ordered.status === 202, `the recording was refused: ${ordered.text}`);
  await page.waitForTimeout(Number(seconds) * 1000);
  await hangUp(page);
  must((await callId(page)) === up.call_id, "the link leads to another call");
  const played = await page.evaluate(() => ({ rate: window.__playedRate, samples: window.__played.flatMap((piece) => [...piece]) }));
  await writeFile(join(out, "played.wav"), wav(played.samples, played.rate));
  const recording = await until(() => context.request.get(`${base}/calls/${up.call_id}/recording`), (answer) => answer.status() === 200);
  must(recording.status() === 200, `no recording: ${recording.status()}`);
  await writeFile(join(out, "recorded.wav"), await recording.body());
  await context.close();
  return up.call_id;
}

// Keys by mouse and by keyboard reach the bot that answers them, and tones need no microphone.
async function keys() {
  const { context, page } = await openTalk();
  await page.goto(`${base}/#/talk?bot=dtmf`);
  await page.getByLabel("Tones", { exact: true }).check();
  await call(page);
  await page.getByRole("button", { name: "5", exact: true }).click();
  await page.keyboard.press("7");
  await page.keyboard.press("#");
  await log(page).getByText("You pressed #").waitFor();
  await page.waitForTimeout(1500);
  const id = (await newest(page)).call_id;
  await hangUp(page);
  const record = await until(() => context.request.get(`${base}/calls/${id}/record`), (answer) => answer.status() === 200);
  const told = await record.text();
  must(JSON.parse(told).counters?.digits_in === 3, `the digits did not arrive: ${told}`);
  await context.close();
}

// The parrot answers tones, and the page measures how soon.
async function turns() {
  const { context, page } = await openTalk();
  await page.goto(`${base}/#/talk?bot=parrot`);
  await page.getByLabel("Tones", { exact: true }).check();
  await call(page);
  await log(page).getByText(/The bot answered after/).first().waitFor({ timeout: 15_000 });
  const rows = await page.getByRole("table", { name: "Turns" }).locator("tbody tr").count();
  must(rows >= 1, "the turn is not in the table");
  for (const found of await judge(page)) violations.push(`during a call: ${found}`);
  await page.screenshot({ path: join(out, "talk-talking-light-1440.png") });
  await page.getByRole("button", { name: "Mute" }).click();
  await hangUp(page);
  await log(page).getByText(/Closed with 1000/).waitFor();
  await page.getByRole("link", { name: "Open the call" }).waitFor();
  await context.close();
}

// Whoever hangs up, or leaves, while the browser asks for the microphone places no call, and the microphone is given back.
async function givenUp() {
  for (const way of ["hangs up", "leaves"]) {
    const { context, page } = await openTalk({
      before: () => {
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wish) => {
          await new Promise((resolve) => {
            window.__allow = resolve;
          });
          window.__microphone = await ask(wish);
          return window.__microphone;
        };
      },
    });
    page.on("websocket", () => violations.push(`a call is placed after somebody ${way}`));
    await page.goto(`${base}/#/talk?bot=echo`);
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.waitForFunction(() => window.__allow);
    if (way === "leaves") {
      await page.evaluate(() => {
        location.hash = "#/bots";
      });
      await page.getByRole("heading", { name: "Bots" }).first().waitFor();
    } else {
      await page.getByRole("button", { name: "Hang up" }).click();
      await page.getByText("Ready", { exact: true }).waitFor();
    }
    await page.evaluate(() => window.__allow());
    await page.waitForFunction(() => window.__microphone?.getTracks().every((track) => track.readyState === "ended"));
    await context.close();
  }
}

// What cannot be is said in words.
async function refusals() {
  const { context, page } = await openTalk({ allow: ["WebSocket connection to", "404 from GET /talk/ws", "status of 404"] });
  await page.goto(`${base}/#/talk?bot=echo`);
  await page.getByLabel("Tones", { exact: true }).check();
  await page.route("**/bots", (route) => route.fulfill({ json: { data: [{ name: "<b>nobody</b>", kind: "remote" }], next_cursor: null } }));
  await page.reload();
  await page.getByLabel("Tones", { exact: true }).check();
  await page.getByLabel("Bot", { exact: true }).selectOption("<b>nobody</b>");
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await page.getByRole("alert").getByText("no bot has this name").waitFor({ timeout: 10_000 });
  await page.getByLabel("An address", { exact: true }).check();
  const button = page.getByRole("button", { name: "Call", exact: false }).first();
  must((await button.getAttribute("aria-disabled")) === "true", "an empty address can be called");
  await context.close();

  const bare = await openTalk({
    before: () => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError"));
    },
  });
  await bare.page.goto(`${base}/#/talk?bot=echo`);
  await bare.page.getByRole("button", { name: "Call", exact: true }).click();
  await bare.page.getByRole("alert").getByText("The microphone is not allowed").waitFor();
  await bare.context.close();
}

async function pictures() {
  for (const theme of themes) {
    for (const width of widths) {
      const { context, page } = await openTalk({ theme, width });
      await page.goto(`${base}/#/talk`);
      await page.getByRole("button", { name: "Call", exact: true }).waitFor();
      for (const found of await judge(page)) violations.push(`${theme} ${width}: ${found}`);
      if (theme === "light" && width > 600) await walk(page, 24);
      await page.screenshot({ path: join(out, `talk-${theme}-${width}.png`), fullPage: true });
      await context.close();
    }
  }
}

const call_id = await echo();
for (const step of [keys, turns, givenUp, refusals, pictures]) {
  try {
    await step();
  } catch (error) {
    violations.push(`${step.name}: ${error.message}`);
  }
}
await browser.close();
conclude({ violations, call_id });
