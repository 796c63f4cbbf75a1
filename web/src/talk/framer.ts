/** What a microphone gives, in pieces of its own size, as frames of 20 ms at the wire's rate. */
import { Resampler } from "./resampler";
import { toPcm16 } from "./samples";

export const FRAME_MS = 20;

export class Framer {
  readonly #resampler: Resampler;
  readonly #frame: Float32Array;
  #filled = 0;

  constructor(from: number, to: number) {
    this.#resampler = new Resampler(from, to);
    this.#frame = new Float32Array((to * FRAME_MS) / 1000);
  }

  /** The frames that `input` completes. */
  push(input: Float32Array): Int16Array<ArrayBuffer>[] {
    const frames: Int16Array<ArrayBuffer>[] = [];
    let rest = this.#resampler.process(input);
    while (rest.length > 0) {
      const taken = rest.subarray(0, this.#frame.length - this.#filled);
      this.#frame.set(taken, this.#filled);
      this.#filled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#filled === this.#frame.length) {
        frames.push(toPcm16(this.#frame));
        this.#filled = 0;
      }
    }
    return frames;
  }
}
