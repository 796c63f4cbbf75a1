/**
 * The two ends of the page's audio, on the thread that must never wait: `capture` makes frames of what a microphone
 * gives, `playback` plays what the server sends. Everything else is on the other side of their ports.
 */
import { FRAME_MS, Framer } from "./framer";
import { type MarkAnswer, Playback } from "./playback";
import { Resampler } from "./resampler";
import { fromPcm16, peakOf } from "./samples";

export interface EndOptions {
  /** Samples per second on the wire. */
  readonly wireRate: number;
  readonly channels: number;
}

/** What `capture` tells: a frame of the caller, and how loud it is. */
export interface Captured {
  readonly frame: Int16Array<ArrayBuffer>;
  readonly peak: number;
}

/** What `playback` is told. */
export type PlaybackOrder =
  | { readonly pcm: Int16Array<ArrayBuffer>[] }
  | { readonly mark: string }
  | { readonly clear: true };

/** What `playback` tells: marks that come back, and every 20 ms how loud it was and what waits. */
export interface Played {
  readonly marks?: MarkAnswer[];
  readonly wasCleared?: boolean;
  readonly level?: { readonly peak: number; readonly waitingMs: number };
}

class Capture extends AudioWorkletProcessor {
  readonly #framer: Framer;
  #isMuted = false;

  constructor(options: AudioWorkletNodeOptions) {
    super(options);
    const { wireRate } = options.processorOptions as EndOptions;
    this.#framer = new Framer(sampleRate, wireRate);
    this.port.onmessage = ({ data }: MessageEvent<{ isMuted: boolean }>) => {
      this.#isMuted = data.isMuted;
    };
  }

  process([input]: Float32Array[][]): boolean {
    const samples = input?.[0];
    // A phone sends on, also when nobody speaks.
    for (const frame of this.#framer.push(samples ?? new Float32Array(BLOCK))) {
      if (this.#isMuted) frame.fill(0);
      const told: Captured = { frame, peak: peakOf(fromPcm16(frame)) };
      this.port.postMessage(told, [frame.buffer]);
    }
    return true;
  }
}

class Speaker extends AudioWorkletProcessor {
  readonly #channels: { readonly resampler: Resampler; readonly playback: Playback }[];
  #peak = 0;
  #since = 0;

  constructor(options: AudioWorkletNodeOptions) {
    super(options);
    const { wireRate, channels } = options.processorOptions as EndOptions;
    this.#channels = Array.from({ length: channels }, () => ({
      resampler: new Resampler(wireRate, sampleRate),
      playback: new Playback({ sampleRate }),
    }));
    this.port.onmessage = ({ data }: MessageEvent<PlaybackOrder>) => this.#obey(data);
  }

  process(_: Float32Array[][], [output]: Float32Array[][]): boolean {
    this.#channels.forEach(({ playback }, channel) => {
      const to = output?.[channel];
      if (!to) return;
      this.#tell(playback.pull(to));
      this.#peak = Math.max(this.#peak, peakOf(to));
    });
    this.#since += BLOCK;
    if (this.#since >= (sampleRate * FRAME_MS) / 1000) {
      this.#since = 0;
      const waiting = this.#channels[0]?.playback.waiting ?? 0;
      const told: Played = { level: { peak: this.#peak, waitingMs: (waiting / sampleRate) * 1000 } };
      this.port.postMessage(told);
      this.#peak = 0;
    }
    return true;
  }

  #obey(order: PlaybackOrder): void {
    if ("pcm" in order) {
      order.pcm.forEach((pcm, channel) => {
        const end = this.#channels[channel];
        end?.playback.push(end.resampler.process(fromPcm16(pcm)));
      });
    } else if ("mark" in order) {
      this.#tell(this.#channels[0]?.playback.mark(order.mark) ?? []);
    } else {
      const dropped = this.#channels.flatMap(({ playback }) => playback.clear());
      const told: Played = { marks: dropped, wasCleared: true };
      this.port.postMessage(told);
    }
  }

  #tell(marks: MarkAnswer[]): void {
    if (marks.length > 0) this.port.postMessage({ marks } satisfies Played);
  }
}

/** Samples that a worklet works on at once. */
const BLOCK = 128;

registerProcessor("capture", Capture);
registerProcessor("playback", Speaker);
