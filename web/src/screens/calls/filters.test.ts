import { describe, expect, it } from "vitest";
import { activeFilters, filterQuery } from "./filters";

const place = (text: string) => new URLSearchParams(text);

describe("filters", () => {
  it("ask the API what stands in the address and nothing else", () => {
    expect(filterQuery(place("status=failed&q=+91 &evil=1&bot="))).toEqual({ status: "failed", q: "91" });
  });

  it("turn a span into its beginning, which stays for a minute", () => {
    const now = Date.UTC(2026, 10, 20, 12, 0, 30);
    expect(filterQuery(place("when=hour"), now)).toEqual({ since: "2026-11-20T11:00:00.000Z" });
    expect(filterQuery(place("when=hour"), now + 20_000)).toEqual({ since: "2026-11-20T11:00:00.000Z" });
  });

  it("take days whole, and leave out what is no day", () => {
    const query = filterQuery(place("when=dates&since=2026-11-01&until=2026-11-01"));
    expect(Date.parse(String(query.until)) - Date.parse(String(query.since))).toBe(86_400_000);
    expect(filterQuery(place("when=dates&since=yesterday"))).toEqual({});
  });

  it("are named with what takes them away", () => {
    const found = activeFilters(place("status=failed&when=dates&since=2026-11-01"));
    expect(found.map((filter) => [filter.label, filter.value])).toEqual([
      ["Status", "Failed"],
      ["When", "2026-11-01 to …"],
    ]);
    expect(found[1]?.clears).toEqual({ when: "", since: "", until: "" });
  });
});
