/** What a call's record says, as names and values for people. */
import { latencyText, numberText, timeText, wordsOf } from "../../lib/format";
import type { Fact } from "./Facts.svelte";
import type { Timeline } from "./timeline";

/** Who, when, by what way. */
export function identity(timeline: Timeline): Fact[] {
  const { call, record } = timeline;
  const list: (Fact | undefined)[] = [
    { name: "From", value: call.from || "—" },
    { name: "To", value: call.to || "—" },
    { name: "Bot", value: (record?.bots?.length ? record.bots.join(" → ") : call.bot) || "—" },
    {
      name: "Sound",
      value: timeline.media.join("; ") || `${timeline.phone_dialect} → ${timeline.bot_dialect}`,
      title: "The phone's codec, the bot's dialect and format",
    },
    { name: "Began", value: timeText(call.started_at) },
    timed("Rang", timeline.ringing_at_ms),
    timed("Answered", timeline.answered_at_ms),
    call.ended_at ? { name: "Ended", value: timeText(call.ended_at) } : undefined,
    { name: "Call id", value: call.call_id, isId: true },
    record?.stream_id ? { name: "Stream id", value: String(record.stream_id), isId: true } : undefined,
    call.telephony_call_id
      ? {
          name: "Phone leg's id",
          value: call.telephony_call_id,
          isId: true,
          title: "SIP Call-ID, or the vendor's own",
        }
      : undefined,
    ...Object.entries(call.custom_params ?? {}).map(([name, value]) => ({ name, value })),
  ];
  return list.filter((fact): fact is Fact => fact !== undefined);
}

function timed(name: string, at_ms: number | undefined): Fact | undefined {
  return at_ms === undefined ? undefined : { name, value: `after ${latencyText(at_ms)}` };
}

const verdicts: Readonly<Record<string, string>> = {
  ok: "Sound both ways",
  no_media: "No sound at all",
  caller_missing: "Nothing came from the caller",
  caller_silent: "The caller was silent",
  caller_deaf: "The caller heard nothing",
  bot_silent: "The bot was silent",
};

/** How it sounded. */
export function quality(timeline: Timeline): Fact[] {
  const found = timeline.record?.quality;
  if (!found) return [];
  const facts: Fact[] = [];
  const put = (name: string, value: string | undefined, title?: string) => {
    if (value !== undefined) facts.push(title ? { name, value, title } : { name, value });
  };
  if (typeof found.audio === "string") put("Verdict", verdicts[found.audio] ?? wordsOf(found.audio));
  const from = found.from_phone ?? {};
  const to = found.to_phone ?? {};
  const playout = found.playout ?? {};
  put("From the phone", score(from.mos), "Mean opinion score by the E-model: 1 bad, 4.4 as good as can be");
  put("To the phone", score(to.mos), "The same, by the phone's own reports");
  put("Loss from the phone", share(from.loss));
  put("Loss to the phone", share(to.loss));
  put("Jitter from the phone", range(from.jitter_ms));
  put("Jitter to the phone", range(to.jitter_ms));
  put("Round trip", range(to.round_trip_ms));
  put("Longest gap", ms(from.longest_gap_ms), "The longest time without a packet");
  put("Concealed", ms(from.concealed_ms));
  put("Waiting for playout", range(playout.depth_ms), "Bot audio that waited for the caller");
  put("Holes in the bot's speech", whole(playout.underruns));
  return facts;
}

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const score = (value: unknown) => (isNumber(value) ? `MOS ${value.toFixed(1)}` : undefined);
const share = (value: unknown) => (isNumber(value) ? `${(value * 100).toFixed(2)} %` : undefined);
const ms = (value: unknown) => (isNumber(value) ? latencyText(value) : undefined);
const whole = (value: unknown) => (isNumber(value) ? numberText(value) : undefined);
function range(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { mean, max } = value as { mean?: unknown; max?: unknown };
  return isNumber(mean) && isNumber(max) ? `${latencyText(mean)}, at most ${latencyText(max)}` : undefined;
}

/** What was counted, without what stayed at nothing. */
export function counters(timeline: Timeline): Fact[] {
  return Object.entries(timeline.record?.counters ?? {})
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => ({
      name: wordsOf(name.replace(/_ms$/, "")),
      value: name.endsWith("_ms") ? `${(count / 1000).toFixed(1)} s` : numberText(count),
    }));
}
