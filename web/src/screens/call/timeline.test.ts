import { describe, expect, it } from "vitest";
import { knownReasons, reasonText } from "./causes";
import { axisPlaces, placeText } from "./stage.svelte";
import {
  happenings,
  heightOf,
  levelText,
  loudest,
  loudnessOf,
  type Timeline,
  type Utterance,
  utteranceAt,
  wordsHeard,
} from "./timeline";

const said = (part: Partial<Utterance>): Utterance => ({
  role: "bot",
  text: "one two three",
  start_ms: 0,
  end_ms: 1_000,
  heard: true,
  heard_ms: 1_000,
  ...part,
});

describe("an utterance", () => {
  it("is told apart into what was heard and what was not", () => {
    expect(wordsHeard(said({}))).toEqual({ heard: "one two three", unheard: "" });
    expect(wordsHeard(said({ heard: false }))).toEqual({ heard: "", unheard: "one two three" });
    expect(wordsHeard(said({ heard: "partial", heard_text: "one" }))).toEqual({
      heard: "one ",
      unheard: "two three",
    });
    expect(wordsHeard(said({ heard: "partial", heard_text: "other" }))).toEqual({
      heard: "one two three",
      unheard: "",
    });
  });

  it("is found by the moment, and of two at once the later one", () => {
    const lines = [
      said({ start_ms: 100, end_ms: 900 }),
      said({ start_ms: 800, end_ms: 1_500 }),
      said({ start_ms: 3_000, end_ms: 4_000 }),
    ];
    const found = [0, 100, 850, 2_000, 3_500, 9_000].map((at) => utteranceAt(lines, at));
    expect(found).toEqual([-1, 0, 1, 1, 2, 2]);
    expect(utteranceAt([], 5)).toBe(-1);
  });
});

describe("the axis", () => {
  it("writes places as exactly as they are looked at", () => {
    expect(placeText(62_400, 20_000)).toBe("1:02.4");
    expect(placeText(62_400, 100_000)).toBe("1:02");
    expect(placeText(1_234, 2_000)).toBe("0:01.23");
    expect(placeText(59_999, 20_000)).toBe("1:00.0");
  });

  it("has few round places", () => {
    expect(axisPlaces(0, 60_000, 8)).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
    expect(axisPlaces(1_010, 1_500, 5)).toEqual([1_100, 1_200, 1_300, 1_400, 1_500]);
    expect(axisPlaces(0, 4 * 3_600_000, 10).length).toBeLessThanOrEqual(10);
  });
});

const timeline = {
  call: { direction: "inbound" },
  is_up: false,
  length_ms: 5_000,
  answered_at_ms: 300,
  curve: { at_ms: 100, step_ms: 20, caller: btoa("\x00\x40\x7f"), heard: btoa("\x10\x00\x00") },
  lanes: {
    caller: [{ at_ms: 900, for_ms: 500 }],
    heard: [],
    sent: [],
    responses: [],
    barge_ins: [{ at_ms: 900 }],
    marks: [{ at_ms: 700, name: "<b>", outcome: "played" }],
    digits: [{ at_ms: 800, direction: "in" }],
    clears: [],
    bots: [],
    left_out: 0,
  },
  transfers: [],
  sip: {
    dialogs: [
      {
        peer: "udp x",
        left_out: 0,
        messages: [{ at_ms: 4_990, direction: "in", method: "BYE", sdp: false, repeats: 0 }],
      },
    ],
  },
} as unknown as Timeline;

describe("the picture", () => {
  it("has a table that says all of it in order", () => {
    const rows = happenings(timeline);
    expect(rows.map((row) => row.lane)).toEqual([
      "Call",
      "Call",
      "Mark",
      "Key",
      "Caller",
      "Barge-in",
      "SIP",
      "Call",
    ]);
    expect(rows[3]?.what).toBe("a key from the caller");
  });

  it("shows the loudest of what shares a bar", () => {
    const loudness = loudnessOf(timeline);
    if (!loudness) throw new Error("there is a curve");
    expect(loudest(loudness, "caller", 100, 160)).toBe(0x7f);
    expect(loudest(loudness, "caller", 100, 130)).toBe(0x40);
    expect(loudest(loudness, "heard", 0, 90)).toBe(0x10);
    expect([heightOf(0), heightOf(127)]).toEqual([0, 1]);
    expect(heightOf(100)).toBeGreaterThan(heightOf(90));
    expect([levelText(0), levelText(115)]).toEqual(["silent", "−12 dB"]);
  });
});

describe("a cause", () => {
  it("is told in words, and one that is not known as it stands", () => {
    expect(reasonText("caller_hung_up")).toBe("The caller hung up");
    expect(reasonText("some_new_reason")).toBe("some new reason");
    expect(knownReasons().length).toBeGreaterThan(40);
  });
});
