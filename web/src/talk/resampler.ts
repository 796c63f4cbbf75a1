/**
 * One stream of samples at another rate: a windowed sinc, kept from call to call, so that a stream in pieces is the
 * stream whole. No audio context is asked to: what a browser does to a rate of its own choice is its secret.
 */

/** Zero crossings of the sinc to each side: what stands above half the lower rate by 18 % is 80 dB down. */
const CROSSINGS = 24;
const KAISER_BETA = 8.5;
/** The middle of the edge, as a share of half the lower rate. */
const EDGE = 0.91;

export class Resampler {
  readonly #up: number;
  readonly #down: number;
  /** Taps of every phase, one after the other. */
  readonly #taps: Float32Array;
  readonly #width: number;
  /** What the next outputs still need of the past. */
  #kept: Float32Array;
  /** Where the next output stands, in units of 1 / `up` input samples behind the beginning of `kept`. */
  #at = 0;

  constructor(from: number, to: number) {
    const divisor = greatestCommonDivisor(from, to);
    this.#up = to / divisor;
    this.#down = from / divisor;
    const lower = Math.min(1, to / from);
    const half = Math.ceil(CROSSINGS / lower);
    this.#width = 2 * half;
    this.#taps = new Float32Array(this.#up * this.#width);
    for (let phase = 0; phase < this.#up; phase++) {
      for (let tap = 0; tap < this.#width; tap++) {
        const distance = tap - half + 1 - phase / this.#up;
        const window = kaiser(distance / half);
        this.#taps[phase * this.#width + tap] = lower * EDGE * sinc(distance * lower * EDGE) * window;
      }
    }
    this.#kept = new Float32Array(this.#width - 1);
  }

  /** The samples that `input` completes. */
  process(input: Float32Array): Float32Array {
    if (this.#up === this.#down) return input.slice();
    const all = new Float32Array(this.#kept.length + input.length);
    all.set(this.#kept);
    all.set(input, this.#kept.length);
    const last = (all.length - this.#width) * this.#up;
    const count = last < this.#at ? 0 : Math.floor((last - this.#at) / this.#down) + 1;
    const output = new Float32Array(count);
    for (let index = 0; index < count; index++) {
      const start = Math.floor(this.#at / this.#up);
      const taps = (this.#at % this.#up) * this.#width;
      let sum = 0;
      for (let tap = 0; tap < this.#width; tap++) {
        sum += (all[start + tap] ?? 0) * (this.#taps[taps + tap] ?? 0);
      }
      output[index] = sum;
      this.#at += this.#down;
    }
    const used = Math.min(Math.floor(this.#at / this.#up), all.length);
    this.#at -= used * this.#up;
    this.#kept = all.slice(used);
    return output;
  }
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** The Kaiser window at `x` between -1 and 1. */
function kaiser(x: number): number {
  return Math.abs(x) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
}

/** The modified Bessel function of the first kind and order 0. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-10 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
