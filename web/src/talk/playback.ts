/**
 * What waits to be heard: a small store against jitter, marks that come back when the sample before them was played, and
 * a clear that drops the rest at once. Speech is never dropped by itself; silence is, when too much waits.
 */

export interface MarkAnswer {
  readonly name: string;
  readonly wasPlayed: boolean;
}

export interface PlaybackOptions {
  readonly sampleRate: number;
  /** What has to wait before it is begun to play. */
  readonly targetMs?: number;
  /** What may wait at all. */
  readonly roomMs?: number;
}

export class Playback {
  readonly #target: number;
  readonly #high: number;
  readonly #store: Float32Array;
  #read = 0;
  #waiting = 0;
  /** Samples so far given for playing, and so far played or dropped. */
  #written = 0;
  #played = 0;
  #marks: { name: string; at: number }[] = [];
  #isPlaying = false;
  /** Samples of silence that were played since something waits and nothing is played. */
  #held = 0;
  #refused = 0;
  #trimmed = 0;
  #gaps = 0;

  constructor({ sampleRate, targetMs = TARGET_MS, roomMs = ROOM_MS }: PlaybackOptions) {
    this.#target = Math.round((sampleRate * targetMs) / 1000);
    this.#high = this.#target + Math.round((sampleRate * LEAD_MS) / 1000);
    this.#store = new Float32Array(Math.round((sampleRate * roomMs) / 1000));
  }

  /** Gives samples for playing; what finds no room is counted and not heard. */
  push(samples: Float32Array): void {
    const room = this.#store.length - this.#waiting;
    const taken = samples.subarray(0, room);
    this.#refused += samples.length - taken.length;
    let to = (this.#read + this.#waiting) % this.#store.length;
    for (const sample of taken) {
      this.#store[to] = sample;
      to = to + 1 === this.#store.length ? 0 : to + 1;
    }
    this.#waiting += taken.length;
    this.#written += taken.length;
  }

  /** Sets a mark behind what was given so far; gives it back at once where nothing waits. */
  mark(name: string): MarkAnswer[] {
    if (this.#waiting === 0) return [{ name, wasPlayed: true }];
    if (this.#marks.length >= MARKS_MAX) return [{ name, wasPlayed: false }];
    this.#marks.push({ name, at: this.#written });
    return [];
  }

  /** Drops what waits; gives back the marks that will not be reached. */
  clear(): MarkAnswer[] {
    const dropped = this.#marks.map(({ name }) => ({ name, wasPlayed: false }));
    this.#marks = [];
    this.#played += this.#waiting;
    this.#read = 0;
    this.#waiting = 0;
    this.#isPlaying = false;
    this.#held = 0;
    return dropped;
  }

  /** Fills `output` with what is heard next; gives back the marks that were reached. */
  pull(output: Float32Array): MarkAnswer[] {
    this.#begin(output.length);
    if (this.#isPlaying && this.#waiting > this.#high) this.#trim(output.length);
    const count = this.#isPlaying ? Math.min(output.length, this.#waiting) : 0;
    for (let at = 0; at < count; at++) {
      output[at] = this.#store[this.#read] ?? 0;
      this.#read = this.#read + 1 === this.#store.length ? 0 : this.#read + 1;
    }
    output.fill(0, count);
    this.#pass(count);
    if (this.#isPlaying && this.#waiting === 0) {
      this.#isPlaying = false;
      this.#gaps += count < output.length && count > 0 ? 1 : 0;
    }
    return this.#reached();
  }

  /** What waits, in samples. */
  get waiting(): number {
    return this.#waiting;
  }

  /** What found no room, what silence was dropped, and how often it ran dry within a piece. */
  get figures(): { refused: number; trimmed: number; gaps: number } {
    return { refused: this.#refused, trimmed: this.#trimmed, gaps: this.#gaps };
  }

  /** Begins to play when enough waits, or when what waits has waited as long as that would take to come. */
  #begin(length: number): void {
    if (this.#isPlaying || this.#waiting === 0) return;
    this.#held += length;
    if (this.#waiting >= this.#target || this.#held > this.#target) {
      this.#isPlaying = true;
      this.#held = 0;
    }
  }

  /** Drops silence at the front, one piece at a time. */
  #trim(length: number): void {
    for (let at = 0; at < length; at++) {
      if (Math.abs(this.#store[(this.#read + at) % this.#store.length] ?? 0) > SILENCE) return;
    }
    this.#read = (this.#read + length) % this.#store.length;
    this.#trimmed += length;
    this.#pass(length);
  }

  #pass(count: number): void {
    this.#waiting -= count;
    this.#played += count;
  }

  #reached(): MarkAnswer[] {
    const reached: MarkAnswer[] = [];
    while (this.#marks[0] !== undefined && this.#marks[0].at <= this.#played) {
      reached.push({ name: this.#marks[0].name, wasPlayed: true });
      this.#marks.shift();
    }
    return reached;
  }
}

/** A network's usual jitter, and the steps of the server's clock. */
const TARGET_MS = 60;
/** What may wait beyond the target before silence is dropped: the server's own lead and a stall of the page. */
const LEAD_MS = 300;
/** The server sends in real time; this much comes only after a page stood still. */
const ROOM_MS = 30_000;
/** Below -50 dBFS nobody speaks. */
const SILENCE = 0.003;
const MARKS_MAX = 1_000;
