import { describe, expect, it } from "vitest";
import { Sides } from "./samples";

describe("stereo", () => {
  it("comes in pieces of any size, and its sides never change places", () => {
    const pairs = [1, -1, 2, -2, 3, -3, 30_000, -30_000];
    const bytes = new Uint8Array(new Int16Array(pairs).buffer);
    for (let size = 1; size <= bytes.length; size += 1) {
      const sides = new Sides();
      const heard: [number[], number[]] = [[], []];
      for (let at = 0; at < bytes.length; at += size) {
        const [left, right] = sides.push(bytes.slice(at, at + size));
        heard[0].push(...left);
        heard[1].push(...right);
      }
      expect(heard).toEqual([
        [1, 2, 3, 30_000],
        [-1, -2, -3, -30_000],
      ]);
    }
  });
});
