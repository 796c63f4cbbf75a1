import { describe, expect, it } from "vitest";
import {
  agoText,
  bytesText,
  callerText,
  durationText,
  durationWords,
  latencyText,
  partiesText,
  shareText,
  shortId,
  wordsOf,
} from "./format";

describe("lengths and numbers", () => {
  it("writes a length as a clock does", () => {
    expect([0, 7.9, 61, 3729, -3, Number.NaN].map(durationText)).toEqual([
      "0:00",
      "0:07",
      "1:01",
      "1:02:09",
      "0:00",
      "—",
    ]);
    expect(durationWords(3729)).toBe("1 hour 2 minutes 9 seconds");
    expect(durationWords(0)).toBe("0 seconds");
  });
  it("writes how long ago something was, and how long it will take", () => {
    const now = Date.parse("2026-02-03T12:00:00Z");
    const at = (seconds: number) => agoText(now - seconds * 1000, now);
    expect([0, 42, 200, 7300, 200_000, -30].map(at)).toEqual([
      "just now",
      "42 s ago",
      "3 min ago",
      "2 h ago",
      "2 d ago",
      "in 30 s",
    ]);
    expect(agoText("nonsense", now)).toBe("—");
  });
  it("writes response times, shares and sizes", () => {
    expect([480.4, 1240, null, undefined].map(latencyText)).toEqual(["480 ms", "1.24 s", "—", "—"]);
    expect([shareText(1, 3), shareText(3, 3), shareText(0, 3), shareText(0, 0)]).toEqual([
      "33.3 %",
      "100 %",
      "0 %",
      "—",
    ]);
    expect([bytesText(12), bytesText(14_200), bytesText(3e6)]).toEqual(["12 B", "14.2 kB", "3.0 MB"]);
  });
  it("makes words of codes and short forms of ids", () => {
    expect(partiesText({ from: "98", to: "18", telephony_call_id: "u1" })).toBe("98 → 18");
    expect(partiesText({ from: "", to: "", telephony_call_id: "u1" })).toBe("u1");
    expect([callerText({ from: "98" }), callerText({ from: "" })]).toEqual(["98", "unknown"]);
    expect([wordsOf("in-progress"), wordsOf("caller_hung_up")]).toEqual(["In progress", "Caller hung up"]);
    expect(shortId("call_1707204900000_a1b2c3a1b2c3")).toBe("a1b2c3a1");
  });
});
