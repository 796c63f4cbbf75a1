import { describe, expect, test } from "vitest";
import { Framer } from "./framer";
import { Platform, read } from "./platform";
import { Playback } from "./playback";
import { Resampler } from "./resampler";
import { fromPcm16, peakOf, SampleJoiner, toBase64, toPcm16 } from "./samples";
import { Turns } from "./turns";
import { closeText, keyOf, microphoneText } from "./words";

const sine = (hertz: number, rate: number, seconds: number) =>
  Float32Array.from({ length: rate * seconds }, (_, at) => Math.sin((2 * Math.PI * hertz * at) / rate) * 0.5);

/** The strength of one frequency, as the amplitude of a sine. */
function strength(samples: Float32Array, hertz: number, rate: number): number {
  let [re, im] = [0, 0];
  samples.forEach((sample, at) => {
    const angle = (2 * Math.PI * hertz * at) / rate;
    re += sample * Math.cos(angle);
    im += sample * Math.sin(angle);
  });
  return (2 * Math.hypot(re, im)) / samples.length;
}

const decibels = (ratio: number) => 20 * Math.log10(ratio);

describe("another rate", () => {
  test.each([
    [48_000, 16_000],
    [44_100, 16_000],
    [48_000, 8_000],
    [16_000, 48_000],
    [8_000, 44_100],
  ])("a tone keeps its pitch and its strength from %d to %d", (from, to) => {
    const output = new Resampler(from, to).process(sine(1000, from, 1)).subarray(to / 10, to);
    expect(Math.abs(decibels(strength(output, 1000, to) / 0.5))).toBeLessThan(0.1);
  });

  test("what the lower rate cannot carry is 70 dB down instead of folded", () => {
    for (const hertz of [9_600, 12_000, 17_000, 23_000]) {
      const output = new Resampler(48_000, 16_000).process(sine(hertz, 48_000, 1)).subarray(1_600);
      expect(decibels(peakOf(output) / 0.5)).toBeLessThan(-70);
    }
  });

  test("what the higher rate would add is 70 dB down", () => {
    const output = new Resampler(8_000, 48_000).process(sine(3_000, 8_000, 1)).subarray(4_800);
    for (const image of [5_000, 11_000, 13_000]) {
      expect(decibels(strength(output, image, 48_000) / 0.5)).toBeLessThan(-70);
    }
  });

  test("a stream in pieces is the stream whole, and no sample goes missing in ten seconds", () => {
    const input = sine(440, 44_100, 10);
    const whole = new Resampler(44_100, 16_000).process(input);
    const pieces = new Resampler(44_100, 16_000);
    const joined: number[] = [];
    for (let at = 0; at < input.length; at += 128)
      joined.push(...pieces.process(input.subarray(at, at + 128)));
    expect(joined.length).toBe(whole.length);
    const apart = joined.reduce((most, sample, at) => Math.max(most, Math.abs(sample - (whole[at] ?? 0))), 0);
    expect(apart).toBeLessThan(1e-6);
    expect(Math.abs(whole.length - 160_000)).toBeLessThanOrEqual(1);
  });

  test("frames have 20 ms of the wire's samples, whatever the microphone's pieces are", () => {
    const framer = new Framer(48_000, 16_000);
    const input = sine(1000, 48_000, 1);
    const frames: Int16Array[] = [];
    for (let at = 0; at < input.length; at += 128) frames.push(...framer.push(input.subarray(at, at + 128)));
    expect(frames.every((frame) => frame.length === 320)).toBe(true);
    expect(frames.length).toBeGreaterThanOrEqual(49);
  });
});

describe("samples", () => {
  test("they go to the wire and come back, and full scale does not overflow", () => {
    expect([...toPcm16(Float32Array.from([0, 1, -1, 2]))]).toEqual([0, 32_767, -32_767, 32_767]);
    expect(fromPcm16(Int16Array.from([-32_768]))[0]).toBe(-1);
    expect(toBase64(Int16Array.from([1, -2]))).toBe("AQD+/w==");
  });

  test("a sample that is split over two messages is put together", () => {
    const joiner = new SampleJoiner();
    expect([...joiner.push(Uint8Array.from([1, 0, 2]))]).toEqual([1]);
    expect([...joiner.push(Uint8Array.from([1, 255, 255]))]).toEqual([258, -1]);
  });
});

/** Pulls pieces of 128 samples; gives the samples and the marks with their places. */
function play(playback: Playback, pieces: number): { heard: number[]; marks: [string, number][] } {
  const heard: number[] = [];
  const marks: [string, number][] = [];
  for (let piece = 0; piece < pieces; piece++) {
    const output = new Float32Array(128);
    const reached = playback.pull(output);
    heard.push(...output);
    marks.push(...reached.map(({ name }): [string, number] => [name, heard.length]));
  }
  return { heard, marks };
}

describe("what is heard", () => {
  const loud = (count: number) => new Float32Array(count).fill(0.5);

  test("jitter below the target leaves no gap", () => {
    const playback = new Playback({ sampleRate: 48_000 });
    const heard: number[] = [];
    // 20 ms each, up to 40 ms late.
    const late = [0, 1, 2, 0, 1, 2, 2, 0, 0, 1, 2, 0, 1];
    const due = late.map((steps, at) => at + steps);
    for (let step = 0; step < 20; step++) {
      due.forEach((at) => {
        if (at === step) playback.push(loud(960));
      });
      heard.push(...play(playback, 7.5).heard.slice(0, 960));
    }
    const first = heard.indexOf(0.5);
    const last = heard.lastIndexOf(0.5);
    expect(heard.slice(first, last + 1).every((sample) => sample === 0.5)).toBe(true);
  });

  test("a mark comes back when the sample before it was played, and at once where nothing waits", () => {
    const playback = new Playback({ sampleRate: 16_000 });
    expect(playback.mark("first")).toEqual([{ name: "first", wasPlayed: true }]);
    playback.push(loud(1_600));
    expect(playback.mark("second")).toEqual([]);
    playback.push(loud(1_600));
    const { heard, marks } = play(playback, 40);
    const begin = heard.indexOf(0.5);
    expect(marks).toHaveLength(1);
    const [name, at] = marks[0] ?? ["", 0];
    expect(name).toBe("second");
    expect(at - begin).toBeGreaterThanOrEqual(1_600);
    expect(at - begin).toBeLessThan(1_600 + 128);
  });

  test("a clear drops what waits at once, and gives the marks back first and in order", () => {
    const playback = new Playback({ sampleRate: 16_000 });
    playback.push(loud(16_000));
    playback.mark("a");
    playback.mark("b");
    play(playback, 5);
    expect(playback.clear().map((mark) => [mark.name, mark.wasPlayed])).toEqual([
      ["a", false],
      ["b", false],
    ]);
    expect(peakOf(Float32Array.from(play(playback, 5).heard))).toBe(0);
    playback.push(loud(1_600));
    expect(peakOf(Float32Array.from(play(playback, 20).heard))).toBe(0.5);
  });

  test("a short word is heard although it never fills the store", () => {
    const playback = new Playback({ sampleRate: 16_000 });
    playback.push(loud(160));
    const { heard } = play(playback, 20);
    expect(heard.filter((sample) => sample === 0.5)).toHaveLength(160);
    expect(heard.indexOf(0.5)).toBeLessThan(16_000 * 0.08);
  });

  test("too much that waits is brought back by dropping silence, never a word", () => {
    const playback = new Playback({ sampleRate: 16_000 });
    for (let word = 0; word < 10; word++) {
      playback.push(loud(1_600));
      playback.push(new Float32Array(3_200));
    }
    const { heard } = play(playback, 400);
    expect(heard.filter((sample) => sample === 0.5)).toHaveLength(16_000);
    expect(playback.figures.trimmed).toBeGreaterThan(12_000);
  });
});

describe("the platform's end of ivr-solutions", () => {
  test("it begins, counts, and ends as the dialect's specification says", () => {
    const platform = new Platform("talk_1", 16_000);
    const [connected, start] = platform
      .begin({ from: "browser", to: "echo" })
      .map((text) => JSON.parse(text));
    expect(connected).toEqual({ event: "connected" });
    expect(start).toMatchObject({
      event: "start",
      sequence_number: 1,
      stream_sid: "talk_1",
      start: { from: "browser", to: "echo", media_format: { encoding: "raw/slin", sample_rate: 16_000 } },
    });
    const frames = [1, 2].map(() => JSON.parse(platform.media(new Int16Array(320))));
    expect(frames.map((frame) => [frame.sequence_number, frame.media.chunk, frame.media.timestamp])).toEqual([
      [2, 1, "0"],
      [3, 2, "20"],
    ]);
    expect(JSON.parse(platform.digit("5", 120))).toMatchObject({
      sequence_number: 4,
      dtmf: { digit: "5", duration: "120" },
    });
    expect(JSON.parse(platform.markReached("m"))).toMatchObject({
      event: "mark",
      sequence_number: 5,
      mark: { name: "m" },
    });
    expect(JSON.parse(platform.cleared())).toEqual({ event: "clear", stream_sid: "talk_1" });
    expect(JSON.parse(platform.stop())).toMatchObject({
      event: "stop",
      sequence_number: 6,
      stop: { reason: "callended" },
    });
  });

  test("it hears every command, and nothing is the end of it", () => {
    expect(read('{"event":"call","call_id":"call_1"}')).toEqual({ kind: "call", callId: "call_1" });
    expect(read('{"type":"response.audio.delta","delta":"AQD+/w=="}')).toEqual({
      kind: "audio",
      bytes: Uint8Array.from([1, 0, 254, 255]),
    });
    expect(read('{"event":"mark","stream_sid":"1","mark":{"name":"m"}}')).toEqual({
      kind: "mark",
      name: "m",
    });
    expect(read('{"type":"audio.clear"}')).toEqual({ kind: "clear" });
    expect(read('{"type":"session.dtmf","dtmf":"12#"}')).toEqual({ kind: "digits", digits: "12#" });
    expect(read('{"type":"session.hangup"}')).toEqual({ kind: "hangup" });
    expect(read('{"type":"session.transfer","destination":["1","2"]}')).toMatchObject({
      kind: "transfer",
      to: "1, 2",
    });
    expect(read('{"event":"<b>"}')).toEqual({ kind: "unknown", name: "<b>" });
    for (const nonsense of ["", "[]", "null", '{"type":"response.audio.delta","delta":"%"}']) {
      expect(read(nonsense)).toBeUndefined();
    }
  });
});

describe("turns", () => {
  /** Loudness every 20 ms: when the caller speaks and when the bot does, in milliseconds. */
  function course(caller: [number, number][], bot: [number, number][], until: number): Turns {
    const turns = new Turns();
    const speaks = (spans: [number, number][], at: number) =>
      spans.some(([from, to]) => at > from && at <= to);
    for (let at = 20; at <= until; at += 20) {
      turns.caller(speaks(caller, at) ? 0.3 : 0, at);
      turns.bot(speaks(bot, at) ? 0.3 : 0, at);
    }
    return turns;
  }

  test("a response counts from the caller's last word to the bot's first", () => {
    const { turns } = course(
      [
        [0, 1_000],
        [3_000, 4_000],
      ],
      [
        [1_800, 2_500],
        [4_200, 5_000],
      ],
      6_000,
    );
    expect(turns).toHaveLength(2);
    [800, 200].forEach((expected, at) => {
      expect(Math.abs((turns[at]?.responseMs ?? 0) - expected)).toBeLessThanOrEqual(20);
    });
  });

  test("a bot that speaks first, or over the caller, answered nothing", () => {
    expect(course([[2_000, 3_000]], [[0, 1_000]], 4_000).turns).toEqual([]);
    expect(course([[0, 2_000]], [[1_000, 3_000]], 4_000).turns).toEqual([]);
  });
});

test("troubles are told in words", () => {
  expect(closeText(1006)).toContain("broke");
  expect(closeText(4_321)).toContain("4321");
  expect(microphoneText(new DOMException("", "NotAllowedError"), true)).toContain("not allowed");
  expect(microphoneText(new DOMException("", "NotFoundError"), true)).toContain("no microphone");
  expect(microphoneText(undefined, false)).toContain("HTTPS");
  expect(["5", "*", "#", "d", "E", "Enter"].map(keyOf)).toEqual(["5", "*", "#", "D", undefined, undefined]);
});
