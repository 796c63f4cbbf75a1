import { describe, expect, it } from "vitest";
import { lineTrouble } from "./trouble";

describe("a line to a carrier", () => {
  it("tells what to look at when something is wrong, and nothing when all is well", () => {
    const line = { reach: "up", since_ms: 0 } as const;
    const failed = (sip_status?: number) => ({
      ...line,
      registration: { state: "failed", since_ms: 0, ...(sip_status ? { sip_status } : {}) },
    });
    expect(lineTrouble(undefined)).toBeUndefined();
    expect(lineTrouble(line)).toBeUndefined();
    expect(lineTrouble(failed(403))).toContain("password");
    expect(lineTrouble(failed())).toContain("firewall");
    expect(lineTrouble(failed(500))).toContain("500");
    expect(lineTrouble({ ...line, reach: "down" })).toContain("does not answer");
    expect(lineTrouble({ ...line, trouble: "no address of x" })).toBe("No address of x");
  });
});
