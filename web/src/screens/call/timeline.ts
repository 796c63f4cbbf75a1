/** `GET /calls/{id}/timeline` as it comes, and what screens make of it. Every `at_ms` counts from the call's first sign. */
import type { Call, Callback } from "../../api/types";

export interface Span {
  readonly at_ms: number;
  readonly for_ms: number;
}

export interface SentSpan extends Span {
  /** How long it sounds: more than it took to come where a bot is faster than speech. */
  readonly audio_ms: number;
}

export interface Lanes {
  readonly caller: readonly Span[];
  readonly heard: readonly Span[];
  readonly sent: readonly SentSpan[];
  readonly responses: readonly { at_ms: number; after_ms: number }[];
  readonly barge_ins: readonly { at_ms: number }[];
  readonly marks: readonly { at_ms: number; name: string; outcome: "played" | "cleared" }[];
  readonly digits: readonly { at_ms: number; direction: "in" | "out"; key?: string }[];
  readonly clears: readonly { at_ms: number; dropped_ms: number }[];
  readonly bots: readonly { at_ms: number; step: "connected" | "failed"; reason?: string }[];
  readonly left_out: number;
}

export interface SipMessage {
  readonly at_ms: number;
  readonly direction: "in" | "out";
  readonly method: string;
  readonly status?: number;
  readonly sdp: boolean;
  readonly repeats: number;
}

export interface SipDialog {
  readonly peer: string;
  readonly messages: readonly SipMessage[];
  readonly left_out: number;
}

export interface TransferLeg {
  readonly destination: string;
  readonly status: string;
  readonly is_winner: boolean;
  readonly at_ms: number;
  readonly answered_at_ms?: number;
  readonly ended_at_ms?: number;
  readonly q850?: number;
  readonly q850_text?: string;
  readonly telephony_call_id?: string;
}

export interface Transfer {
  readonly sequence: number;
  readonly strategy: string;
  readonly status: string;
  readonly at_ms: number;
  readonly answered_at_ms?: number;
  readonly ended_at_ms?: number;
  readonly destinations: readonly string[];
  readonly legs: readonly TransferLeg[];
}

export interface Recording {
  readonly at_ms: number;
  readonly take: number;
  readonly part: "call" | "bot" | "voicemail";
  readonly path: string;
  readonly format: string;
  readonly sample_rate: number;
  readonly channels: number;
  readonly bytes: number;
  readonly duration_ms: number;
  readonly lost_ms: number;
  readonly is_cut: boolean;
  readonly place: string;
  readonly deleted_at_ms?: number;
  readonly deleted_why?: string;
}

/** What one of both said in one piece. */
export interface Utterance {
  readonly role: "caller" | "bot";
  readonly text: string;
  readonly start_ms: number;
  readonly end_ms: number;
  readonly heard: boolean | "partial";
  readonly heard_ms: number;
  readonly heard_text?: string;
  readonly response_ms?: number;
}

export interface Fields {
  readonly state: "absent" | "live" | "final" | "failed";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly saved: Readonly<Record<string, unknown>>;
  readonly reasons: Readonly<Record<string, unknown>>;
  readonly updated_at: string;
}

export interface Cause {
  readonly class: string;
  readonly reason: string;
  readonly q850: number;
  readonly q850_text: string;
  readonly sip_status?: number;
  readonly hung_up_by: string;
}

export interface Timeline {
  readonly call: Call;
  readonly started_ms: number;
  readonly ringing_at_ms?: number;
  readonly answered_at_ms?: number;
  readonly length_ms: number;
  readonly is_up: boolean;
  readonly cause?: Cause;
  readonly phone_dialect: string;
  readonly bot_dialect: string;
  /** The ways that its sound took, bot after bot. */
  readonly media: readonly string[];
  readonly curve?: { at_ms: number; step_ms: number; caller: string; heard: string };
  readonly recordings: readonly Recording[];
  readonly lanes?: Lanes;
  readonly sip?: { dialogs: readonly SipDialog[] };
  readonly has_wire_log: boolean;
  readonly transfers: readonly Transfer[];
  readonly utterances: readonly Utterance[];
  readonly fields?: Fields;
  readonly deliveries: readonly Callback[];
  readonly record?: CallRecord;
}

/** The parts of a record that screens know; the rest is shown as it stands. */
export interface CallRecord {
  readonly counters?: Readonly<Record<string, number>>;
  readonly quality?: {
    readonly audio?: string | null;
    readonly bot_response_ms?: {
      count: number;
      min: number;
      mean: number;
      p50: number;
      p95: number;
      max: number;
    } | null;
    readonly from_phone?: Readonly<Record<string, unknown>> | null;
    readonly to_phone?: Readonly<Record<string, unknown>> | null;
    readonly playout?: Readonly<Record<string, unknown>> | null;
  };
  readonly bots?: readonly string[];
  readonly stream_id?: string;
  readonly [name: string]: unknown;
}

/** The loudness of one side: points from 0, silence, to 1, as loud as can be. */
export interface Loudness {
  readonly at_ms: number;
  readonly step_ms: number;
  readonly caller: Uint8Array;
  readonly heard: Uint8Array;
}

export function loudnessOf(timeline: Timeline): Loudness | undefined {
  const { curve } = timeline;
  if (!curve) return undefined;
  return { ...curve, caller: bytesOf(curve.caller), heard: bytesOf(curve.heard) };
}

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** How high a level stands in a picture, 0 to 1: levels are decibels, and what is 55 below full scale is a hush. */
export const heightOf = (level: number): number =>
  level <= 0 ? 0 : Math.max(0.015, Math.min(1, (level - 72) / 55) ** 1.35 || 0);

/** A level in words: `−12 dB`. */
export const levelText = (level: number): string =>
  level <= 0 ? "silent" : `${level - 127} dB`.replace("-", "−");

/** The loudest level of a side between two moments. */
export function loudest(loudness: Loudness, side: "caller" | "heard", from: number, until: number): number {
  const levels = loudness[side];
  const first = Math.max(0, Math.floor((from - loudness.at_ms) / loudness.step_ms));
  const last = Math.min(
    levels.length,
    Math.max(first + 1, Math.ceil((until - loudness.at_ms) / loudness.step_ms)),
  );
  let most = 0;
  for (let at = first; at < last; at += 1) most = Math.max(most, levels[at] ?? 0);
  return most;
}

/** The words of an utterance that were heard, and those that were not. */
export function wordsHeard(utterance: Utterance): { heard: string; unheard: string } {
  const { text } = utterance;
  if (utterance.heard === true) return { heard: text, unheard: "" };
  if (utterance.heard === false) return { heard: "", unheard: text };
  const heard = utterance.heard_text ?? "";
  if (!text.startsWith(heard)) return { heard: text, unheard: "" };
  // The space between the two belongs to what was heard: a line through nothing says nothing.
  const space = /^\s*/.exec(text.slice(heard.length))?.[0].length ?? 0;
  const cut = heard.length + space;
  return { heard: text.slice(0, cut), unheard: text.slice(cut) };
}

/** One row of the table that says what the picture shows. */
export interface Happening {
  readonly at_ms: number;
  readonly lane: string;
  readonly what: string;
  readonly for_ms?: number;
}

/** What a SIP message is called: `INVITE`, `200 OK`. */
export const sipLabel = (message: SipMessage): string =>
  message.status === undefined ? message.method : `${message.status} ${phrases[message.status] ?? ""}`.trim();

const phrases: Readonly<Record<number, string>> = {
  100: "Trying",
  180: "Ringing",
  181: "Forwarded",
  183: "Progress",
  200: "OK",
  202: "Accepted",
  302: "Moved",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  407: "Proxy Auth",
  408: "Timeout",
  410: "Gone",
  415: "Media Type",
  422: "Interval Small",
  480: "Unavailable",
  481: "No Dialog",
  482: "Loop",
  484: "Incomplete",
  486: "Busy",
  487: "Terminated",
  488: "Not Acceptable",
  491: "Pending",
  500: "Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Unavailable",
  504: "Timeout",
  600: "Busy Everywhere",
  603: "Decline",
};

/** Everything that the picture shows, in the order in which it happened. */
export function happenings(timeline: Timeline): Happening[] {
  const rows: Happening[] = [];
  const put = (at_ms: number, lane: string, what: string, for_ms?: number) =>
    rows.push(for_ms === undefined ? { at_ms, lane, what } : { at_ms, lane, what, for_ms });
  const { lanes } = timeline;
  put(0, "Call", timeline.call.direction === "outbound" ? "Placed" : "First sign");
  if (timeline.ringing_at_ms !== undefined) put(timeline.ringing_at_ms, "Call", "Ringing");
  if (timeline.answered_at_ms !== undefined) put(timeline.answered_at_ms, "Call", "Answered");
  if (!timeline.is_up) put(timeline.length_ms, "Call", "Ended");
  for (const { at_ms, step, reason } of lanes?.bots ?? [])
    put(at_ms, "Bot", step === "connected" ? "Connected" : `Failed: ${reason ?? "unknown"}`);
  for (const { at_ms, for_ms } of lanes?.caller ?? []) put(at_ms, "Caller", "Spoke", for_ms);
  for (const { at_ms, for_ms } of lanes?.heard ?? []) put(at_ms, "Heard", "Speech was heard", for_ms);
  for (const { at_ms, for_ms, audio_ms } of lanes?.sent ?? [])
    put(at_ms, "Bot's audio", `${(audio_ms / 1000).toFixed(2)} s of sound arrived`, for_ms);
  for (const { at_ms, after_ms } of lanes?.responses ?? [])
    put(at_ms, "Response", `Answered after ${after_ms} ms`);
  for (const { at_ms } of lanes?.barge_ins ?? []) put(at_ms, "Barge-in", "The caller spoke over the bot");
  for (const { at_ms, dropped_ms } of lanes?.clears ?? [])
    put(at_ms, "Clear", `${dropped_ms} ms were dropped`);
  for (const { at_ms, name, outcome } of lanes?.marks ?? []) put(at_ms, "Mark", `${name}: ${outcome}`);
  for (const { at_ms, direction, key } of lanes?.digits ?? [])
    put(at_ms, "Key", `${key ?? "a key"} ${direction === "in" ? "from the caller" : "to the caller"}`);
  for (const transfer of timeline.transfers) {
    put(transfer.at_ms, "Transfer", `Begins: ${transfer.destinations.join(", ")}`);
    for (const leg of transfer.legs) {
      put(leg.at_ms, "Transfer", `${leg.destination} is called`);
      if (leg.answered_at_ms !== undefined) put(leg.answered_at_ms, "Transfer", `${leg.destination} answers`);
      if (leg.ended_at_ms !== undefined)
        put(
          leg.ended_at_ms,
          "Transfer",
          `${leg.destination}: ${leg.status}${leg.q850_text ? `, ${leg.q850_text}` : ""}`,
        );
    }
  }
  for (const dialog of timeline.sip?.dialogs ?? [])
    for (const message of dialog.messages)
      put(
        message.at_ms,
        "SIP",
        `${message.direction === "in" ? "←" : "→"} ${sipLabel(message)} (${dialog.peer})`,
      );
  return rows.sort((one, other) => one.at_ms - other.at_ms);
}

/** The utterance that is being said at a moment, or the last one before it; −1 before the first. */
export function utteranceAt(utterances: readonly Utterance[], at: number): number {
  let found = -1;
  for (const [index, { start_ms, end_ms }] of utterances.entries()) {
    if (start_ms > at + 1) break;
    // Of two at once, the one that began last; of one that is over, the one nearest.
    const before = utterances[found];
    if (before === undefined || end_ms >= at || end_ms >= before.end_ms) found = index;
  }
  return found;
}
