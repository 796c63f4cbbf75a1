/** What calls can be chosen by: the parameters of the address, and what of them the API is asked. */
import type { Query } from "../../lib/router.svelte";
import { causeClasses } from "../call/causes";

export interface Choice {
  readonly value: string;
  readonly text: string;
}

/** A filter with a list of values. */
export interface Filter {
  readonly name: string;
  readonly label: string;
  readonly choices: readonly Choice[];
}

const statuses: readonly Choice[] = [
  { value: "in-progress", text: "In progress" },
  { value: "ringing", text: "Ringing" },
  { value: "initiated", text: "Initiated" },
  { value: "completed", text: "Completed" },
  { value: "busy", text: "Busy" },
  { value: "no-answer", text: "No answer" },
  { value: "canceled", text: "Canceled" },
  { value: "failed", text: "Failed" },
];

/** What is offered in lists; `bot` and `when` stand beside them. */
export const filters: readonly Filter[] = [
  { name: "status", label: "Status", choices: statuses },
  {
    name: "direction",
    label: "Direction",
    choices: [
      { value: "inbound", text: "Inbound" },
      { value: "outbound", text: "Outbound" },
    ],
  },
  { name: "cause", label: "Cause", choices: causeClasses },
  {
    name: "recorded",
    label: "Recording",
    choices: [
      { value: "true", text: "Recorded" },
      { value: "false", text: "Not recorded" },
    ],
  },
  {
    name: "unheard",
    label: "Bot's words",
    choices: [
      { value: "true", text: "Some were not heard" },
      { value: "false", text: "All were heard" },
    ],
  },
  {
    name: "fields",
    label: "Extraction",
    choices: [
      { value: "final", text: "Made" },
      { value: "failed", text: "Failed" },
      { value: "live", text: "So far" },
      { value: "absent", text: "None" },
    ],
  },
];

/** How far back. */
export const spans: readonly Choice[] = [
  { value: "hour", text: "Last hour" },
  { value: "day", text: "Last 24 hours" },
  { value: "week", text: "Last 7 days" },
  { value: "month", text: "Last 30 days" },
  { value: "dates", text: "From … to …" },
];

const lengths: Readonly<Record<string, number>> = {
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
  month: 2_592_000_000,
};
const plain = ["status", "direction", "cause", "recorded", "unheard", "fields", "bot", "from", "to", "q"];

/** What the API is asked. The beginning of a span is the beginning of a minute, so that the question stays the same. */
export function filterQuery(place: URLSearchParams, now = Date.now()): Query {
  const query: Record<string, string> = {};
  for (const name of plain) {
    const value = place.get(name)?.trim();
    if (value) query[name] = value;
  }
  const when = place.get("when") ?? "";
  const length = lengths[when];
  if (length !== undefined)
    query.since = new Date(Math.floor((now - length) / 60_000) * 60_000).toISOString();
  if (when === "dates") {
    const since = dayStart(place.get("since"));
    const until = dayStart(place.get("until"));
    if (since) query.since = since.toISOString();
    if (until) {
      until.setDate(until.getDate() + 1);
      query.until = until.toISOString();
    }
  }
  return query;
}

function dayStart(text: string | null): Date | undefined {
  if (!text || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const date = new Date(`${text}T00:00:00`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** Each filter that is set, with what it is called and the parameters that take it away. */
export function activeFilters(place: URLSearchParams): { label: string; value: string; clears: Query }[] {
  const found: { label: string; value: string; clears: Query }[] = [];
  for (const { name, label, choices } of filters) {
    const value = place.get(name);
    if (value)
      found.push({
        label,
        value: choices.find((choice) => choice.value === value)?.text ?? value,
        clears: { [name]: "" },
      });
  }
  for (const [name, label] of [
    ["bot", "Bot"],
    ["from", "From"],
    ["to", "To"],
    ["q", "Search"],
  ] as const) {
    const value = place.get(name);
    if (value) found.push({ label, value, clears: { [name]: "" } });
  }
  const when = place.get("when");
  if (when) {
    const text = spans.find((span) => span.value === when)?.text ?? when;
    const dates = `${place.get("since") || "…"} to ${place.get("until") || "…"}`;
    found.push({
      label: "When",
      value: when === "dates" ? dates : text,
      clears: { when: "", since: "", until: "" },
    });
  }
  return found;
}
