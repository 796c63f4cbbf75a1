/**
 * The platform's end of `ivr-solutions` (docs/dialects.md): the page is the phone, the server at the other end of the
 * WebSocket is its bot. Text in, text out; it knows no socket and no audio.
 */
import { FRAME_MS } from "./framer";
import { fromBase64, toBase64 } from "./samples";

/** What the bot's side says. */
export type Said =
  | { readonly kind: "call"; readonly callId: string }
  | { readonly kind: "audio"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "mark"; readonly name: string }
  | { readonly kind: "clear" }
  | { readonly kind: "digits"; readonly digits: string }
  | { readonly kind: "hangup" }
  | { readonly kind: "transfer"; readonly to: string; readonly command: string }
  | { readonly kind: "unknown"; readonly name: string };

export interface Parties {
  readonly from: string;
  readonly to: string;
}

export class Platform {
  readonly #id: string;
  readonly #sampleRate: number;
  #sequence = 0;
  #chunk = 0;

  /** `id` names the stream and the call on the wire. */
  constructor(id: string, sampleRate: number) {
    this.#id = id;
    this.#sampleRate = sampleRate;
  }

  /** The messages that begin a call. */
  begin({ from, to }: Parties): string[] {
    const start = {
      stream_sid: this.#id,
      call_sid: this.#id,
      account_sid: "dashboard",
      from,
      to,
      media_format: { encoding: "raw/slin", sample_rate: this.#sampleRate },
    };
    return [JSON.stringify({ event: "connected" }), this.#numbered("start", { start })];
  }

  /** A frame of the caller's audio. */
  media(frame: Int16Array): string {
    const media = {
      chunk: this.#chunk + 1,
      timestamp: String(this.#chunk * FRAME_MS),
      payload: toBase64(frame),
    };
    this.#chunk += 1;
    return this.#numbered("media", { media });
  }

  digit(digit: string, durationMs: number): string {
    return this.#numbered("dtmf", { dtmf: { digit, duration: String(durationMs) } });
  }

  /** The audio before a mark was played, or dropped: the wire does not say which. */
  markReached(name: string): string {
    return this.#numbered("mark", { mark: { name } });
  }

  /** What waited was dropped. */
  cleared(): string {
    return JSON.stringify({ event: "clear", stream_sid: this.#id });
  }

  /** A command that the page does not carry out. */
  refused(command: string, code: string, message: string): string {
    return JSON.stringify({ event: "error", stream_sid: this.#id, error: { code, message, command } });
  }

  /** The caller hangs up. */
  stop(): string {
    return this.#numbered("stop", {
      stop: { call_sid: this.#id, account_sid: "dashboard", reason: "callended" },
    });
  }

  #numbered(event: string, body: object): string {
    this.#sequence += 1;
    return JSON.stringify({ event, sequence_number: this.#sequence, stream_sid: this.#id, ...body });
  }
}

/** Reads a message; what is no message says nothing. */
export function read(text: string): Said | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(message)) return undefined;
  const name = textOf(message.event) ?? textOf(message.type) ?? "";
  switch (name) {
    case "call":
      return { kind: "call", callId: textOf(message.call_id) ?? "" };
    case "response.audio.delta":
      return audio(message.delta);
    case "media":
      return audio(isRecord(message.media) ? message.media.payload : undefined);
    case "mark":
      return { kind: "mark", name: (isRecord(message.mark) && textOf(message.mark.name)) || "" };
    case "audio.clear":
    case "clear":
      return { kind: "clear" };
    case "session.dtmf":
      return { kind: "digits", digits: textOf(message.dtmf) ?? "" };
    case "session.hangup":
      return { kind: "hangup" };
    case "session.transfer":
      return { kind: "transfer", to: listed(message.destination), command: name };
    case "session.transfer_extension":
      return { kind: "transfer", to: textOf(message.extension) ?? "", command: name };
    case "session.flow_transfer":
      return { kind: "transfer", to: textOf(message.flow_id) ?? "", command: name };
    case "session.transfer_ws":
      return { kind: "transfer", to: textOf(message.url) ?? "", command: name };
    default:
      return { kind: "unknown", name };
  }
}

function audio(payload: unknown): Said | undefined {
  try {
    return typeof payload === "string" ? { kind: "audio", bytes: fromBase64(payload) } : undefined;
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

const listed = (value: unknown): string =>
  Array.isArray(value) ? value.map(String).join(", ") : String(value);
