/** What a call's screen shares: which part of the time axis is seen, where the cursor stands, and the sound. */
import type { Recording, Timeline } from "./timeline";

/** No less than this is ever seen. */
const SHORTEST_MS = 400;

export class Stage {
  /** How long the axis is: a call that is up grows. */
  length = $state(0);
  /** The part of the axis that is seen. */
  from = $state(0);
  to = $state(0);
  /** Where the cursor stands. */
  at = $state(0);
  isPlaying = $state(false);
  /** Why the recording cannot be played. */
  failure = $state<string | undefined>();
  /** How fast it plays. */
  speed = $state(1);
  recording = $state.raw<Recording | undefined>();
  source = $state<string | undefined>();
  #audio: HTMLAudioElement | undefined;
  #frame = 0;

  /** All of what is known of a call, with the cursor at `at`. */
  constructor(timeline: Timeline, at = 0) {
    this.learn(timeline);
    if (at > 0) this.seek(at);
  }

  /** Takes what is known by now of the same call: what is seen stays, and the end is followed where all of it was seen. */
  learn(timeline: Timeline): void {
    const wasWhole = this.isWhole;
    const last = Math.max(
      0,
      ...timeline.recordings.map((recording) => recording.at_ms + recording.duration_ms),
    );
    this.length = Math.max(1_000, timeline.length_ms, last);
    const kept = timeline.recordings.filter((recording) => recording.deleted_at_ms === undefined);
    const whole = kept.find((recording) => recording.part === "call");
    this.recording = whole ?? kept.find((recording) => recording.part === "bot");
    const path = whole && timeline.call.full_recording_url ? "full-recording" : "recording";
    const source = this.recording && `/calls/${encodeURIComponent(timeline.call.call_id)}/${path}`;
    // An element that is given another sound stops without saying so.
    if (this.isPlaying && source !== this.source) this.pause();
    this.source = source;
    if (wasWhole) this.fit();
    else this.show(this.from, this.span);
    this.at = Math.min(this.length, this.at);
  }

  get span(): number {
    return this.to - this.from;
  }

  get isWhole(): boolean {
    return this.span >= this.length - 0.5;
  }

  /** Shows the stretch from `from` on that is `span` long, as near as the axis allows. */
  show(from: number, span: number): void {
    const length = Math.min(this.length, Math.max(SHORTEST_MS, span));
    this.from = Math.min(this.length - length, Math.max(0, from));
    this.to = this.from + length;
  }

  /** Shows `factor` times as little; what is at `around` stays where it is. */
  zoom(factor: number, around = this.#middle()): void {
    const share = (around - this.from) / this.span;
    const span = Math.min(this.length, Math.max(SHORTEST_MS, this.span / factor));
    this.show(around - share * span, span);
  }

  fit(): void {
    this.show(0, this.length);
  }

  /** Brings a stretch into sight with some room around it. */
  reveal(from: number, to: number): void {
    const room = Math.max(1_500, (to - from) * 0.6);
    if (this.isWhole && this.length > 20_000) this.show(from - room, to - from + 2 * room);
    else if (from < this.from || to > this.to) this.show(from - (this.span - (to - from)) / 2, this.span);
  }

  /** Moves the cursor, and the sound with it. */
  seek(at: number): void {
    this.at = Math.min(this.length, Math.max(0, at));
    this.#follow();
    if (this.#audio && this.recording)
      this.#audio.currentTime = Math.max(0, this.at - this.recording.at_ms) / 1000;
  }

  /** Has the sound played by `audio`; gives the way to part from it. */
  attach(audio: HTMLAudioElement): () => void {
    this.#audio = audio;
    return () => {
      cancelAnimationFrame(this.#frame);
      this.#audio = undefined;
    };
  }

  toggle(): void {
    if (this.isPlaying) this.pause();
    else void this.play();
  }

  pause(): void {
    this.#audio?.pause();
    this.isPlaying = false;
    cancelAnimationFrame(this.#frame);
  }

  async play(): Promise<void> {
    const { recording } = this;
    const audio = this.#audio;
    if (!audio || !recording) return;
    const end = recording.at_ms + recording.duration_ms;
    if (this.at >= end - 50 || this.at < recording.at_ms) this.seek(recording.at_ms);
    else audio.currentTime = (this.at - recording.at_ms) / 1000;
    audio.playbackRate = this.speed;
    try {
      await audio.play();
      this.failure = undefined;
      this.isPlaying = true;
      this.#run();
    } catch (thrown) {
      this.isPlaying = false;
      if ((thrown as Error).name !== "AbortError")
        this.failure = "The recording cannot be played in this browser.";
    }
  }

  setSpeed(speed: number): void {
    this.speed = speed;
    if (this.#audio) this.#audio.playbackRate = speed;
  }

  ended(): void {
    this.isPlaying = false;
    cancelAnimationFrame(this.#frame);
  }

  #run(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      if (!this.isPlaying || !this.#audio || !this.recording) return;
      this.at = this.recording.at_ms + this.#audio.currentTime * 1000;
      this.#follow();
      this.#run();
    });
  }

  /** The cursor stays in sight. */
  #follow(): void {
    if (this.at < this.from || this.at > this.to - this.span * 0.03)
      this.show(this.at - this.span * 0.1, this.span);
  }

  #middle(): number {
    return this.at >= this.from && this.at <= this.to && this.at > 0 ? this.at : (this.from + this.to) / 2;
  }
}

/** `1:02.4`: a place on the axis; more exact the closer it is looked at. */
export function placeText(at: number, span = 10_000): string {
  const digits = span < 2_500 ? 2 : span < 30_000 ? 1 : 0;
  const minutes = Math.floor(at / 60_000);
  const seconds = (at - minutes * 60_000) / 1000;
  const text = seconds.toFixed(digits);
  // 59.96 is not 60.0 of the same minute.
  if (Number(text) >= 60) return placeText((minutes + 1) * 60_000, span);
  return `${minutes}:${text.padStart(digits ? 3 + digits : 2, "0")}`;
}

/** Round places of the axis between two moments, at most `most` of them. */
export function axisPlaces(from: number, to: number, most: number): number[] {
  const steps = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    1_800_000, 3_600_000,
  ];
  const step = steps.find((step) => (to - from) / step <= most) ?? 7_200_000;
  const places: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) places.push(at);
  return places;
}
