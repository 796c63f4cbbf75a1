/** A call from this page to a bot, as the screen shows it: dialling, talking, what happened, how it ended. */
import { get } from "../api/client";
import { asProblem } from "../api/problem";
import type { Call as CallView } from "../api/types";
import { latencyText, wordsOf } from "../lib/format";
import { type Query, queryText } from "../lib/router.svelte";
import type { Captured, Played } from "./audio.worklet";
import { ENTRIES_MAX, type Entry, type EntryKind, LEVELS_MAX, Levels } from "./history";
import { Line } from "./line";
import { Platform, read, type Said } from "./platform";
import { SampleJoiner } from "./samples";
import { file, microphone, type Source, type SourceKind, tones } from "./sources";
import { type Turn, Turns } from "./turns";
import { closeText, microphoneText } from "./words";

export interface Wish {
  /** A bot of the configuration; or an address with its dialect. */
  readonly bot?: string;
  readonly url?: string;
  readonly dialect?: string;
  readonly rate: number;
  readonly source: SourceKind;
  /** Of the source `file`. */
  readonly sound?: File | undefined;
  /** Whether the browser takes echo and noise out of the microphone. */
  readonly isCleaned: boolean;
}

export type Stage = "idle" | "opening" | "dialling" | "talking" | "ended";

export class TalkCall {
  stage = $state<Stage>("idle");
  /** What keeps somebody from talking, in words. */
  trouble = $state<string | undefined>();
  callId = $state<string | undefined>();
  entries = $state.raw<readonly Entry[]>([]);
  turns = $state.raw<readonly Turn[]>([]);
  isMuted = $state(false);
  volume = $state(1);
  /** What waits to be heard, in milliseconds. */
  waitingMs = $state(0);
  startedAt = $state(0);
  endedAt = $state(0);
  caller = new Levels(LEVELS_MAX);
  bot = new Levels(LEVELS_MAX);

  #line: Line | undefined;
  #socket: WebSocket | undefined;
  #platform = new Platform("", 16_000);
  #joiner = new SampleJoiner();
  #voices = new Turns();
  #entries = 0;
  /** Counts what was dialled, and what was given up while it opened: whoever waited looks whether it is still the same. */
  #dialled = 0;
  #hasHungUp = false;
  #closing: ReturnType<typeof setTimeout> | undefined;

  get isUp(): boolean {
    return this.stage === "opening" || this.stage === "dialling" || this.stage === "talking";
  }

  /** Calls. */
  async dial(wish: Wish): Promise<void> {
    if (this.isUp) return;
    this.#reset();
    const dialled = this.#dialled;
    const isWanted = () => dialled === this.#dialled;
    const context = new AudioContext({ latencyHint: "interactive" });
    let line: Line | undefined;
    let source: Source | undefined;
    let failure: unknown;
    try {
      line = await Line.open(
        context,
        { wireRate: wish.rate, channels: 1 },
        {
          captured: (captured) => this.#captured(captured),
          played: (played) => {
            if (isWanted()) this.#played(played);
          },
        },
      );
      if (isWanted()) source = await opened(context, wish);
    } catch (error) {
      failure = error;
    }
    if (line && source && isWanted()) {
      this.#begin(line, source, wish);
      return;
    }
    source?.stop();
    await context.close();
    if (!isWanted()) return;
    this.#giveUp();
    this.trouble = troubleText(wish, failure);
  }

  hangUp(): void {
    if (!this.isUp) return;
    this.#say("call", "You hung up");
    if (this.stage === "opening") {
      this.#dialled += 1;
      this.#giveUp();
    }
    this.#leave();
  }

  /** Presses a key. */
  press(digit: string): void {
    if (this.stage !== "talking") return;
    this.#send(this.#platform.digit(digit, KEY_MS));
    this.#say("digit", `You pressed ${digit}`);
  }

  mute(isMuted: boolean): void {
    this.isMuted = isMuted;
    this.#line?.mute(isMuted);
  }

  loudness(volume: number): void {
    this.volume = volume;
    if (this.#line) this.#line.volume = volume;
  }

  /** Ends everything: the screen is left. */
  destroy(): void {
    this.#dialled += 1;
    this.#leave();
    void this.#line?.close();
  }

  /** What was to be a call became none: its time stands still. */
  #giveUp(): void {
    this.stage = "idle";
    this.endedAt = Date.now();
  }

  #reset(): void {
    this.#dialled += 1;
    this.#hasHungUp = false;
    // A call before this one may still be waiting for the server's goodbye.
    this.#socket = undefined;
    this.#closing = undefined;
    this.stage = "opening";
    this.trouble = undefined;
    this.callId = undefined;
    this.entries = [];
    this.turns = [];
    this.caller = new Levels(LEVELS_MAX);
    this.bot = new Levels(LEVELS_MAX);
    this.startedAt = Date.now();
    this.endedAt = 0;
    this.#voices = new Turns();
    this.#joiner = new SampleJoiner();
  }

  #begin(line: Line, source: Source, wish: Wish): void {
    this.#line = line;
    line.volume = this.volume;
    line.mute(this.isMuted);
    line.from(source);
    this.#connect(wish);
  }

  #connect({ bot, url, dialect, rate }: Wish): void {
    this.stage = "dialling";
    this.#say("call", `Calling ${bot ?? url ?? ""}`);
    this.#platform = new Platform(`talk_${Date.now()}`, rate);
    const query: Query = { bot, url, dialect, rate: String(rate) };
    const address = new URL(`/talk/ws${queryText(query)}`, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => {
      this.stage = "talking";
      for (const text of this.#platform.begin({ from: "browser", to: bot ?? "talk" })) this.#send(text);
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (socket !== this.#socket) return;
      const said = typeof data === "string" ? read(data) : undefined;
      if (data instanceof ArrayBuffer) this.#hear({ kind: "audio", bytes: new Uint8Array(data) });
      else if (said) this.#hear(said);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) void this.#closed(code, query);
    };
  }

  #hear(said: Said): void {
    switch (said.kind) {
      case "audio":
        this.#line?.play([this.#joiner.push(said.bytes)]);
        return;
      case "call":
        this.callId = said.callId;
        return;
      case "mark":
        this.#line?.mark(said.name);
        return;
      case "clear":
        this.#say("clear", "The bot cleared what waited to be heard");
        this.#line?.clear();
        return;
      case "digits":
        this.#say("digit", `The bot sent the digits ${said.digits}`);
        return;
      case "hangup":
        this.#say("call", "The bot hangs up when you have heard it to the end");
        this.#line?.mark(LAST_MARK);
        return;
      case "transfer":
        this.#say("transfer", `The bot gives the call to ${said.to}: a page can go nowhere else`);
        this.#send(this.#platform.refused(said.command, "not_supported", "a browser cannot be transferred"));
        return;
      case "unknown":
        this.#say("error", `A message that this page does not know: ${said.name || "without a name"}`);
    }
  }

  #captured({ frame, peak }: Captured): void {
    this.caller.add(peak);
    this.#voices.caller(peak, this.#now());
    if (this.stage === "talking" && (this.#socket?.bufferedAmount ?? 0) < BUFFERED_BYTES_MAX) {
      this.#send(this.#platform.media(frame));
    }
  }

  #played({ marks, wasCleared, level }: Played): void {
    for (const { name, wasPlayed } of marks ?? []) {
      if (name === LAST_MARK) {
        this.#leave();
        continue;
      }
      this.#say("mark", `Mark “${name}” ${wasPlayed ? "was heard" : "was cleared before it was heard"}`);
      this.#send(this.#platform.markReached(name));
    }
    if (wasCleared) this.#send(this.#platform.cleared());
    if (!level) return;
    this.bot.add(level.peak);
    this.waitingMs = Math.round(level.waitingMs);
    const turn = this.#voices.bot(level.peak, this.#now());
    if (turn) {
      this.turns = [...this.turns, turn];
      this.#say("turn", `The bot answered after ${latencyText(turn.responseMs)}`);
    }
  }

  /** Says goodbye: the call is over, and the server has a little time for its own, until all is written down. */
  #leave(): void {
    const socket = this.#socket;
    if (!socket || this.#closing !== undefined) return;
    this.#hasHungUp = true;
    // A call that is not placed yet is not placed: there is nobody to say goodbye to.
    if (socket.readyState === WebSocket.CONNECTING) {
      socket.close(1000);
      return;
    }
    this.#send(this.#platform.stop());
    void this.#over();
    this.#closing = setTimeout(() => socket.close(1000), GOODBYE_MS);
  }

  async #closed(code: number, query: Query): Promise<void> {
    clearTimeout(this.#closing);
    this.#closing = undefined;
    this.#socket = undefined;
    const hasTalked = this.stage === "talking" || this.stage === "ended";
    await this.#over();
    if (hasTalked) {
      this.#say("call", `Closed with ${code}: ${closeText(code)}`);
      await this.#tellEnd();
    } else if (!this.#hasHungUp) {
      this.trouble = await whyNot(query);
      this.#say("error", this.trouble);
    }
  }

  /** Nothing is said or heard any more, and the microphone is given back. */
  async #over(): Promise<void> {
    if (this.stage !== "ended") this.endedAt = Date.now();
    this.stage = "ended";
    const line = this.#line;
    this.#line = undefined;
    await line?.close();
  }

  /** What the call's record says of its end. */
  async #tellEnd(): Promise<void> {
    if (!this.callId) return;
    try {
      const call = await get<CallView>(`/calls/${encodeURIComponent(this.callId)}`);
      if (call.hangup_reason) this.#say("call", `The record says: ${wordsOf(call.hangup_reason)}`);
    } catch (thrown) {
      this.#say("error", `The record cannot be read: ${asProblem(thrown).message}`);
    }
  }

  #send(text: string): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  #say(kind: EntryKind, text: string): void {
    this.#entries += 1;
    const entry = { id: this.#entries, at: this.#now(), kind, text };
    this.entries = [...this.entries, entry].slice(-ENTRIES_MAX);
  }

  #now(): number {
    return Date.now() - this.startedAt;
  }
}

async function opened(context: AudioContext, { source, sound, isCleaned }: Wish): Promise<Source> {
  if (source === "microphone") return microphone(context, isCleaned);
  if (source === "file" && sound) return file(context, await sound.arrayBuffer());
  return tones(context);
}

function troubleText({ source }: Wish, failure: unknown): string {
  return source === "microphone"
    ? microphoneText(failure, window.isSecureContext)
    : "This file is no sound that the browser can read. Take a WAV, MP3, Ogg or M4A file.";
}

/** A browser does not tell why a WebSocket was refused: the same question without one does. */
async function whyNot(query: Query): Promise<string> {
  try {
    await get("/talk/ws", query);
  } catch (thrown) {
    const problem = asProblem(thrown);
    if (problem.status !== 426) return `The server refuses the call: ${problem.message}`;
  }
  return "The call could not be placed: all lines are taken, or the way to the server is blocked. Try again.";
}

/** How long a key sounds. */
const KEY_MS = 120;
/** How long the server may take to say goodbye. */
const GOODBYE_MS = 2_000;
/** What may wait on its way to the server: half a second. Beyond it the page sends nothing rather than old audio. */
const BUFFERED_BYTES_MAX = 32_000;
/** Behind the last word before the bot's hang-up; no bot's mark has a control character. */
const LAST_MARK = "\u0000last";
