import { describe, expect, it } from "vitest";
import { fieldName, readProblem } from "../api/problem";
import { curlText } from "./curl";
import { labelled, percentile, ticks } from "./scale";
import { isTaken, ShortcutReader } from "./shortcuts";

describe("a command", () => {
  it("is safe to paste, whatever stands in it, and has no key in it", () => {
    const text = curlText({ method: "POST", path: "/calls", body: { to: "it's; rm -rf" } }, "http://h", true);
    expect(text).toBe(
      `curl -X POST 'http://h/calls' -H "Authorization: Bearer $PATCHCORD_KEY" ` +
        `-H 'Content-Type: application/json' -d '{"to":"it'\\''s; rm -rf"}'`,
    );
    expect(curlText({ method: "GET", path: "/bots" }, "http://h", false)).toBe("curl 'http://h/bots'");
  });
});

describe("axes", () => {
  it("have round steps that reach the largest value", () => {
    expect(ticks(7, 4)).toEqual([0, 2, 4, 6, 8]);
    expect(ticks(0, 4)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(ticks(1, 4, true)).toEqual([0, 1]);
    expect(ticks(1230, 3).at(-1)).toBe(1500);
    expect(ticks(Number.NaN, 2)).toEqual([0, 0.5, 1]);
  });
  it("label every n-th place, the last one always", () => {
    expect(labelled(7, 3)).toEqual([0, 3, 6]);
    expect(labelled(0, 3)).toEqual([]);
  });
  it("know percentiles", () => {
    expect([percentile([], 0.5), percentile([1, 2, 3, 4], 0.5), percentile([1, 2, 3, 4], 0.95)]).toEqual([
      undefined,
      2,
      4,
    ]);
  });
});

describe("keys", () => {
  const shortcuts = ["g o", "g c", "?"].map((keys) => ({ keys, what: keys, run: () => {} }));
  it("come alone or in pairs that are quick enough", () => {
    const reader = new ShortcutReader();
    expect(reader.press("?", 0, shortcuts)?.keys).toBe("?");
    expect(reader.press("g", 10, shortcuts)).toBeUndefined();
    expect(reader.press("c", 500, shortcuts)?.keys).toBe("g c");
    reader.press("g", 1_000, shortcuts);
    expect(reader.press("o", 3_000, shortcuts)).toBeUndefined();
    reader.press("g", 4_000, shortcuts);
    expect(reader.press("x", 4_100, shortcuts)).toBeUndefined();
    expect(reader.press("o", 4_200, shortcuts)).toBeUndefined();
  });

  /** A key with the focus inside an element that `selector` finds. */
  const pressed = (key: string, selector: string, told: Partial<KeyboardEvent> = {}) => {
    const closest = (wanted: string) => (wanted.split(", ").includes(selector) ? {} : null);
    return { key, defaultPrevented: false, target: { closest }, ...told } as unknown as KeyboardEvent;
  };
  it("that press what has the focus press nothing else", () => {
    for (const focused of ["button", "a", "summary", "input", "[role]"]) {
      expect([focused, isTaken(pressed(" ", focused)), isTaken(pressed("Enter", focused))]).toEqual([
        focused,
        true,
        true,
      ]);
    }
    expect(isTaken(pressed(" ", "h1"))).toBe(false);
    expect(isTaken(pressed("j", "button"))).toBe(false);
    expect(isTaken(pressed("ArrowLeft", "[role]"))).toBe(false);
  });
  it("that did their work on what has the focus do no more", () => {
    expect(isTaken(pressed("ArrowLeft", "[role]", { defaultPrevented: true }))).toBe(true);
  });
  it("are keys in a field, and with a modifier", () => {
    expect(isTaken(pressed("j", "textarea"))).toBe(true);
    expect(isTaken(pressed("j", "h1", { ctrlKey: true }))).toBe(true);
  });
});

describe("problems", () => {
  it("are read from the document, and made up where there is none", async () => {
    const body = JSON.stringify({
      code: "bad_field",
      detail: "no",
      errors: [{ pointer: "#/a/b", detail: "x" }],
    });
    const told = await readProblem(
      new Response(body, {
        status: 400,
        headers: { "content-type": "application/problem+json", "retry-after": "2" },
      }),
    );
    expect([told.code, told.message, told.retryAfter]).toEqual(["bad_field", "no", 2]);
    expect(told.errors.map(fieldName)).toEqual(["a.b"]);
    const plain = await readProblem(new Response("<html>", { status: 502, statusText: "Bad Gateway" }));
    expect([plain.status, plain.message]).toEqual([502, "the server answered 502 Bad Gateway"]);
  });
});
