/** Listening to a call that is up: both sides, the caller left and what it hears right. Nothing is said to it. */
import { part } from "../api/client";
import { asProblem } from "../api/problem";
import { Line } from "./line";
import { fromPcm16, peakOf, Sides } from "./samples";

export type ListeningStage = "idle" | "opening" | "listening" | "ended";

export class Listening {
  stage = $state<ListeningStage>("idle");
  /** Why nothing is heard, in words. */
  trouble = $state<string | undefined>();
  /** How loud both sides are, 0 to 1. */
  caller = $state(0);
  bot = $state(0);

  #socket: WebSocket | undefined;
  #line: Line | undefined;
  #context: AudioContext | undefined;
  #sides = new Sides();

  /** Begins; call it when somebody has pressed something, or the browser keeps it silent. */
  begin(callId: string): void {
    this.end();
    this.stage = "opening";
    this.trouble = undefined;
    this.#sides = new Sides();
    this.#context = new AudioContext();
    const address = new URL(`/calls/${part(callId)}/listen`, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (typeof data === "string") void this.#told(socket, data);
      else if (data instanceof ArrayBuffer) this.#heard(new Uint8Array(data));
    };
    socket.onclose = ({ code }) => {
      if (this.#socket !== socket) return;
      if (this.stage === "opening") {
        this.trouble = "The call cannot be heard: it is over, or too many listen already.";
      } else if (code !== CLOSE_NORMAL) {
        this.trouble = "The connection is lost.";
      }
      this.#finish();
    };
    this.#socket = socket;
  }

  /** Ends; the call goes on. */
  end(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
    this.#finish();
  }

  set volume(volume: number) {
    if (this.#line) this.#line.volume = volume;
  }

  async #told(socket: WebSocket, text: string): Promise<void> {
    const said = JSON.parse(text) as { type?: string; sample_rate?: number };
    const context = this.#context;
    if (said.type !== "listening" || !said.sample_rate || !context) return;
    try {
      const line = await Line.open(
        context,
        { wireRate: said.sample_rate, channels: 2 },
        { played: () => {} },
      );
      if (this.#socket !== socket) return;
      this.#line = line;
      this.stage = "listening";
    } catch (thrown) {
      this.trouble = asProblem(thrown).message;
      this.end();
    }
  }

  #heard(bytes: Uint8Array): void {
    const sides = this.#sides.push(bytes);
    this.caller = peakOf(fromPcm16(sides[0]));
    this.bot = peakOf(fromPcm16(sides[1]));
    this.#line?.play(sides);
  }

  #finish(): void {
    if (this.stage !== "idle") this.stage = "ended";
    this.caller = 0;
    this.bot = 0;
    this.#socket = undefined;
    this.#line = undefined;
    const context = this.#context;
    this.#context = undefined;
    if (context && context.state !== "closed") void context.close();
  }
}

const CLOSE_NORMAL = 1000;
