/** Times, lengths and numbers as people read them. Everything takes what the API gives. */

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

/** Milliseconds since 1970 of an RFC 3339 time; NaN for no time. */
export const ms = (time: string): number => Date.parse(time);

/** `14:02:07` today, `3 Feb 14:02:07` on another day, with the year in another year. */
export function timeText(time: string | number, now = Date.now()): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "—";
  const today = new Date(now);
  if (date.toDateString() === today.toDateString()) return clock.format(date);
  const days = date.getFullYear() === today.getFullYear() ? day : dayOfYear;
  return `${days.format(date)} ${clock.format(date)}`;
}

/** `14:02`, for axes. */
export const minuteText = (time: number): string => clock.format(new Date(time)).slice(0, 5);

/** `just now`, `3 min ago`, `in 2 h`. */
export function agoText(time: string | number, now = Date.now()): string {
  const seconds = Math.round((now - new Date(time).getTime()) / 1000);
  if (Number.isNaN(seconds)) return "—";
  const size = Math.abs(seconds);
  if (size < 5) return "just now";
  const said =
    size < 60
      ? `${size} s`
      : size < 3600
        ? `${Math.floor(size / 60)} min`
        : size < 86_400
          ? `${Math.floor(size / 3600)} h`
          : `${Math.floor(size / 86_400)} d`;
  return seconds > 0 ? `${said} ago` : `in ${said}`;
}

/** `0:07`, `12:41`, `1:02:09`. */
export function durationText(seconds: number): string {
  if (!Number.isFinite(seconds)) return "—";
  const all = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor((all % 3600) / 60), all % 60];
  const two = (number: number) => String(number).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A length for a screen reader: `1 hour 2 minutes 9 seconds`. */
export function durationWords(seconds: number): string {
  const all = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(all / 3600), "hour"],
    [Math.floor((all % 3600) / 60), "minute"],
    [all % 60, "second"],
  ];
  const said = parts
    .filter(([number]) => number > 0)
    .map(([number, unit]) => `${number} ${unit}${number === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
}

/** `480 ms`, `1.24 s`; a dash for nothing. */
export function latencyText(milliseconds: number | null | undefined): string {
  if (milliseconds === null || milliseconds === undefined || !Number.isFinite(milliseconds)) return "—";
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

/** `12,480`. */
export const numberText = (number: number | null | undefined): string =>
  number === null || number === undefined ? "—" : whole.format(number);

/** `99.2 %` of a share between 0 and 1; a dash of nothing. */
export function shareText(part: number, all: number): string {
  if (!(all > 0)) return "—";
  const percent = (part / all) * 100;
  return `${percent >= 99.95 || percent < 0.05 ? percent.toFixed(0) : percent.toFixed(1)} %`;
}

/** `14.2 kB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** `in-progress` → `In progress`; `caller_hung_up` → `Caller hung up`. */
export function wordsOf(code: string): string {
  const text = code.replace(/[-_]+/g, " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `call_1707204900000_a1b2c3…` → `…a1b2c3`: enough of an id to tell rows apart. */
export function shortId(id: string): string {
  const last = id.slice(id.lastIndexOf("_") + 1);
  return last.length > 8 ? last.slice(0, 8) : last;
}

/** What a call is known by: its caller, or the phone leg's own id where a vendor names no numbers. */
export const callerText = (call: { readonly from: string; readonly telephony_call_id?: string }): string =>
  call.from || call.telephony_call_id || "unknown";

/** Who calls whom. */
export const partiesText = (call: {
  readonly from: string;
  readonly to: string;
  readonly telephony_call_id?: string;
}): string => (call.to ? `${call.from || "unknown"} → ${call.to}` : callerText(call));

/** `1 call`, `2 calls`. */
export const counted = (number: number, one: string, many = `${one}s`): string =>
  `${numberText(number)} ${number === 1 ? one : many}`;
