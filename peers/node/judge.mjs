// The judge of one call in the Node peers: a log, violations, audio statistics, and the VERDICT line at the end.
import { appendFileSync } from "node:fs";

export class Judge {
  constructor(role, dialect, logFile) {
    Object.assign(this, { role, dialect, logFile, t0: performance.now() });
    Object.assign(this, { violations: [], digits: [], marks: [], end: {}, start: null, clears: 0, extra: {} });
    Object.assign(this, { audioBytes: 0, audioSamples: 0, rate: 8000, gapMsMax: 0, audioSince: null, firstAudio: null, lastAudio: null });
  }

  ms() {
    return performance.now() - this.t0;
  }

  note(dir, what) {
    if (this.logFile) appendFileSync(this.logFile, JSON.stringify({ ms: round1(this.ms()), dir, what }) + "\n");
  }

  /** Never throws: a call is judged to its end. */
  violation(text) {
    this.note("violation", text);
    if (this.violations.length < 50) this.violations.push(text);
  }

  expect(good, text) {
    if (!good) this.violation(text);
    return Boolean(good);
  }

  /** first_audio_ms counts from here (the start message, or the answer). */
  countAudioFromNow() {
    this.audioSince = this.ms();
  }

  audio(bytes, samples) {
    const now = this.ms();
    if (this.firstAudio === null) this.firstAudio = now;
    else this.gapMsMax = Math.max(this.gapMsMax, now - this.lastAudio);
    this.lastAudio = now;
    this.audioBytes += bytes;
    this.audioSamples += samples;
  }

  audioMs() {
    return (this.audioSamples * 1000) / this.rate;
  }

  /** Caller audio is continuous: as much of it as time went by between its first and its last message. */
  checkPace(toleranceMs) {
    if (this.firstAudio === null || toleranceMs <= 0) return;
    const late = this.lastAudio - this.firstAudio - this.audioMs();
    this.expect(Math.abs(late) <= toleranceMs, `pace: ${this.audioMs().toFixed()} ms of audio came, real time differs by ${late.toFixed()} ms`);
  }

  verdict() {
    const first = this.firstAudio === null || this.audioSince === null ? null : round1(this.firstAudio - this.audioSince);
    return {
      dialect: this.dialect, role: this.role, ok: this.violations.length === 0, violations: this.violations, start: this.start,
      digits: this.digits.join(""), marks: this.marks, clears: this.clears, end: this.end, audio_bytes: this.audioBytes,
      audio_ms: Math.round(this.audioMs()), first_audio_ms: first, gap_ms_max: round1(this.gapMsMax), call_ms: Math.round(this.ms()), ...this.extra,
    };
  }
}

const round1 = (x) => Math.round(x * 10) / 10;

// --- shapes: an object of key -> check ("key?" is optional); a check returns null or what was expected ---

export const constant = (want) => (v) => (v === want ? null : `expected ${JSON.stringify(want)}`);
export const text = (pattern = /^.+$/s) => (v) => (typeof v === "string" && pattern.test(v) ? null : `expected a string like ${pattern}`);
export const integer = (low = -Infinity, high = Infinity) => (v) =>
  Number.isInteger(v) && v >= low && v <= high ? null : `expected an integer in ${low}..${high}`;

/** Judges `value` against `spec`: exact keys, exact types. True when nothing was wrong. */
export function shape(judge, name, value, spec) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return judge.expect(false, `${name}: expected an object`);
  let good = true;
  const known = Object.fromEntries(Object.entries(spec).map(([k, check]) => [k.replace("?", ""), [check, k.endsWith("?")]]));
  for (const key of Object.keys(value)) if (!(key in known)) good = judge.expect(false, `${name}: unknown key ${JSON.stringify(key)}`);
  for (const [key, [check, optional]] of Object.entries(known)) {
    if (!(key in value)) good = judge.expect(optional, `${name}: key ${JSON.stringify(key)} is missing`) && good;
    else if (typeof check === "object") good = shape(judge, `${name}.${key}`, value[key], check) && good;
    else {
      const wrong = check(value[key]);
      if (wrong) good = judge.expect(false, `${name}.${key}: ${wrong}, was ${short(value[key])}`);
    }
  }
  return good;
}

export function short(value) {
  const s = JSON.stringify(value) ?? "undefined";
  return s.length <= 60 ? s : s.slice(0, 57) + "...";
}

/** The JSON object in a text message, or null (a violation) for anything else. */
export function parseObject(judge, message) {
  let value;
  try {
    value = JSON.parse(message);
  } catch {
    judge.violation(`not JSON: ${message.slice(0, 60)}`);
    return null;
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
  judge.violation(`not a JSON object: ${short(value)}`);
  return null;
}

/** Bytes of a canonical base64 string; empty (a violation) for anything else. */
export function audioPayload(judge, name, value) {
  const data = Buffer.from(String(value), "base64");
  judge.expect(data.toString("base64") === value, `${name}: not canonical base64`);
  judge.expect(data.length > 0, `${name}: no audio in it`);
  return data;
}
