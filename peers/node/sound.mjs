// Sound for the Node peers: WAV files, G.711, tones, rate conversion. Samples are Int16Array, mono.
import { readFileSync, writeFileSync } from "node:fs";

/** First channel of a 16-bit WAV, converted to `rate`. */
export function readWav(path, rate) {
  const file = readFileSync(path);
  let at = 12, channels = 1, own = 8000;
  while (at + 8 <= file.length) {
    const id = file.toString("latin1", at, at + 4), size = file.readUInt32LE(at + 4);
    if (id === "fmt ") {
      channels = file.readUInt16LE(at + 10);
      own = file.readUInt32LE(at + 12);
      if (file.readUInt16LE(at + 22) !== 16) throw new Error(`${path}: 16-bit WAV expected`);
    } else if (id === "data") {
      const frames = Math.floor(Math.min(size, file.length - at - 8) / 2 / channels);
      return resample(Int16Array.from({ length: frames }, (_, i) => file.readInt16LE(at + 8 + 2 * channels * i)), own, rate);
    }
    at += 8 + size + (size & 1);
  }
  throw new Error(`${path}: no data chunk`);
}

export function writeWav(path, samples, rate) {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples.length * 2, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.length * 2, 40);
  writeFileSync(path, Buffer.concat([head, toBytes(samples)]));
}

export const toBytes = (samples) => {
  const out = Buffer.alloc(samples.length * 2);
  samples.forEach((v, i) => out.writeInt16LE(v, 2 * i));
  return out;
};

export const fromBytes = (data) => Int16Array.from({ length: data.length >> 1 }, (_, i) => data.readInt16LE(2 * i));

export function joined(pieces) {
  const out = new Int16Array(pieces.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of pieces) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

const clip = (x) => Math.max(-32768, Math.min(32767, Math.round(x)));

/** Windowed-sinc conversion of a whole recording; no delay is added. */
export function resample(samples, from, to) {
  if (from === to) return samples;
  const cutoff = 0.97 * Math.min(1, to / from), half = Math.ceil(24 / Math.min(1, to / from));
  const out = new Int16Array(Math.floor((samples.length * to) / from));
  for (let n = 0; n < out.length; n++) {
    const centre = (n * from) / to, first = Math.max(0, Math.ceil(centre - half)), last = Math.min(samples.length - 1, Math.floor(centre + half));
    let sum = 0;
    for (let k = first; k <= last; k++) {
      const t = centre - k, x = Math.PI * cutoff * t, w = Math.cos((Math.PI * t) / (2 * half)) ** 2;
      sum += samples[k] * (x === 0 ? cutoff : (cutoff * Math.sin(x)) / x) * w;
    }
    out[n] = clip(sum);
  }
  return out;
}

const MULAW = Int16Array.from({ length: 256 }, (_, byte) => {
  const code = ~byte & 0xff, magnitude = ((((code & 15) << 3) + 132) << ((code >> 4) & 7)) - 132;
  return code & 0x80 ? -magnitude : magnitude;
});

const ALAW = Int16Array.from({ length: 256 }, (_, byte) => {
  const code = byte ^ 0x55, exponent = (code >> 4) & 7, step = ((code & 15) << 4) + 8;
  const magnitude = exponent === 0 ? step : (step + 256) << (exponent - 1);
  return code & 0x80 ? magnitude : -magnitude;
});

export const mulawDecode = (data) => Int16Array.from(data, (b) => MULAW[b]);
export const alawDecode = (data) => Int16Array.from(data, (b) => ALAW[b]);

/** The code whose value is nearest: slow and plainly right. */
function encodeBy(table) {
  const order = [...table.keys()].sort((a, b) => table[a] - table[b]);
  return (samples) =>
    Buffer.from(Array.from(samples, (v) => {
      let low = 0, high = 255;
      while (low < high) {
        const mid = (low + high) >> 1;
        if (table[order[mid]] < v) low = mid + 1;
        else high = mid;
      }
      return low > 0 && v - table[order[low - 1]] < table[order[low]] - v ? order[low - 1] : order[low];
    }));
}
export const mulawEncode = encodeBy(MULAW);
export const alawEncode = encodeBy(ALAW);

/** Sum of sines, `level` peak each. */
export function tone(hertz, ms, rate = 8000, level = 8000) {
  const parts = [hertz].flat();
  return Int16Array.from({ length: Math.floor((rate * ms) / 1000) }, (_, i) =>
    clip(parts.reduce((sum, h) => sum + level * Math.sin((2 * Math.PI * h * i) / rate), 0)));
}

export const DTMF = { rows: [697, 770, 852, 941], columns: [1209, 1336, 1477, 1633], keys: ["123A", "456B", "789C", "*0#D"] };

export function dtmfTone(digit, ms = 120, rate = 8000) {
  const row = DTMF.keys.findIndex((keys) => keys.includes(digit));
  if (row < 0 || digit.length !== 1) throw new Error(`not a DTMF digit: ${digit}`);
  return tone([DTMF.rows[row], DTMF.columns[DTMF.keys[row].indexOf(digit)]], ms, rate, 5000);
}

/** All DTMF digits of an 8 kHz recording: both tones clear for 40 ms and more (Goertzel, blocks of 20 ms every 10 ms). */
export function dtmfDigits(samples) {
  const BLOCK = 160, HOP = 80, all = [...DTMF.rows, ...DTMF.columns];
  const power = (at, hertz) => {
    const c = 2 * Math.cos((2 * Math.PI * hertz) / 8000);
    let a = 0, b = 0;
    for (let i = 0; i < BLOCK; i++) [a, b] = [samples[at + i] * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (BLOCK - 1))) + c * a - b, a];
    return ((a * a + b * b - c * a * b) * 16) / (BLOCK * BLOCK) / 2;
  };
  let digits = "", current = null, hits = 0, misses = 0;
  for (let at = 0; at + BLOCK <= samples.length; at += HOP) {
    let energy = 0;
    for (let i = 0; i < BLOCK; i++) energy += samples[at + i] ** 2 / BLOCK;
    let digit = null;
    if (energy >= 2e4) {
      const p = all.map((h) => power(at, h)), low = Math.max(...p.slice(0, 4)), high = Math.max(...p.slice(4));
      const rest = p.reduce((x, y) => x + y, 0) - low - high;
      if (Math.min(low, high) >= 0.15 * energy && low + high >= 0.75 * energy && rest <= 0.3 * (low + high))
        digit = DTMF.keys[p.indexOf(low)][p.indexOf(high, 4) - 4];
    }
    if (digit !== null && digit === current) {
      misses = 0;
      if (++hits === 4) digits += digit;
    } else if (digit === null && current !== null) {
      if (++misses >= 3) [current, hits] = [null, 0];
    } else [current, hits, misses] = [digit, digit === null ? 0 : 1, 0];
  }
  return digits;
}
