/** Samples as they travel, 16-bit little-endian, as audio nodes have them, -1 to 1, and as base64. */

export function toPcm16(samples: Float32Array): Int16Array<ArrayBuffer> {
  const pcm = new Int16Array(samples.length);
  for (let at = 0; at < samples.length; at++) {
    pcm[at] = Math.round(Math.max(-1, Math.min(1, samples[at] ?? 0)) * 32_767);
  }
  return pcm;
}

export function fromPcm16(pcm: Int16Array): Float32Array<ArrayBuffer> {
  const samples = new Float32Array(pcm.length);
  for (let at = 0; at < pcm.length; at++) samples[at] = (pcm[at] ?? 0) / 32_768;
  return samples;
}

/** The loudest of them, 0 to 1. */
export function peakOf(samples: Float32Array): number {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  return peak;
}

/** Little-endian bytes, whatever this machine's order is. */
export function toBase64(pcm: Int16Array): string {
  const view = new DataView(new ArrayBuffer(pcm.length * 2));
  pcm.forEach((sample, at) => {
    view.setInt16(at * 2, sample, true);
  });
  let text = "";
  for (let at = 0; at < view.byteLength; at++) text += String.fromCharCode(view.getUint8(at));
  return btoa(text);
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Bytes of one stream as samples: one that is split over two messages is put together. */
export class SampleJoiner {
  #odd: number | undefined;

  push(bytes: Uint8Array): Int16Array<ArrayBuffer> {
    const all = this.#odd === undefined ? bytes : Uint8Array.from([this.#odd, ...bytes]);
    const count = Math.floor(all.length / 2);
    this.#odd = all.length % 2 === 1 ? all[all.length - 1] : undefined;
    const view = new DataView(all.buffer, all.byteOffset, count * 2);
    return Int16Array.from({ length: count }, (_, at) => view.getInt16(at * 2, true));
  }
}

/** Takes stereo apart: 16-bit little-endian samples in turn, in messages of any size. */
export class Sides {
  #rest = new Uint8Array(0);

  /** The left and the right of what has come whole. */
  push(bytes: Uint8Array): [Int16Array<ArrayBuffer>, Int16Array<ArrayBuffer>] {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const pairs = Math.floor(all.length / BYTES_PER_PAIR);
    const view = new DataView(all.buffer);
    const [left, right] = [new Int16Array(pairs), new Int16Array(pairs)];
    for (let at = 0; at < pairs; at += 1) {
      left[at] = view.getInt16(at * BYTES_PER_PAIR, true);
      right[at] = view.getInt16(at * BYTES_PER_PAIR + 2, true);
    }
    this.#rest = all.slice(pairs * BYTES_PER_PAIR);
    return [left, right];
  }
}

/** A sample of each side. */
const BYTES_PER_PAIR = 4;
