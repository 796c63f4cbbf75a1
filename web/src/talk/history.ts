/** How loud both sides were in the last seconds, for the picture; and what happened, for the list. */

export type EntryKind = "call" | "mark" | "clear" | "digit" | "transfer" | "turn" | "error";

export interface Entry {
  readonly id: number;
  /** Milliseconds since the call was dialled. */
  readonly at: number;
  readonly kind: EntryKind;
  readonly text: string;
}

/** The last peaks of one side, 20 ms each. */
export class Levels {
  readonly #peaks: Float32Array;
  #next = 0;

  constructor(places: number) {
    this.#peaks = new Float32Array(places);
  }

  add(peak: number): void {
    this.#peaks[this.#next] = peak;
    this.#next = (this.#next + 1) % this.#peaks.length;
  }

  /** Oldest first. */
  all(): Float32Array {
    const all = new Float32Array(this.#peaks.length);
    all.set(this.#peaks.subarray(this.#next));
    all.set(this.#peaks.subarray(0, this.#next), this.#peaks.length - this.#next);
    return all;
  }
}

/** Entries that are kept; older ones are forgotten. */
export const ENTRIES_MAX = 500;
/** Peaks that are kept: twelve seconds. */
export const LEVELS_MAX = 600;
