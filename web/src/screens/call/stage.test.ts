import { describe, expect, it } from "vitest";
import { Stage } from "./stage.svelte";
import type { Recording, Timeline } from "./timeline";

/** What is known of a call that is up for so long. */
const known = (length_ms: number, more: Partial<Timeline> = {}) =>
  ({ call: { call_id: "call_1" }, is_up: true, length_ms, recordings: [], ...more }) as unknown as Timeline;
const seen = (stage: Stage) => [stage.from, stage.to, stage.at, stage.speed];

describe("the axis of a call that is up", () => {
  it("stays as somebody left it while the call grows", () => {
    const stage = new Stage(known(60_000));
    stage.zoom(4, 20_000);
    stage.seek(21_000);
    stage.setSpeed(1.5);
    const left = seen(stage);
    stage.learn(known(63_000));
    stage.learn(known(66_000));
    expect([stage.length, stage.isWhole, seen(stage)]).toEqual([66_000, false, left]);
  });

  it("follows the end where all of it is seen, and leaves the cursor where it is", () => {
    const stage = new Stage(known(60_000));
    stage.seek(10_000);
    stage.learn(known(63_000));
    expect([stage.isWhole, ...seen(stage)]).toEqual([true, 0, 63_000, 10_000, 1]);
  });

  it("begins at a given place, once", () => {
    const stage = new Stage(known(60_000), 30_000);
    expect(stage.at).toBe(30_000);
    stage.seek(5_000);
    stage.learn(known(63_000));
    expect(stage.at).toBe(5_000);
    expect([new Stage(known(60_000), Number("x")).at, new Stage(known(60_000), -1).at]).toEqual([0, 0]);
  });

  it("ends where the call did, and has its recording then", () => {
    const stage = new Stage(known(60_000));
    stage.show(50_000, 10_000);
    stage.seek(59_000);
    expect(stage.source).toBeUndefined();
    const recording = { part: "call", at_ms: 1_000, duration_ms: 57_000 } as unknown as Recording;
    stage.learn(known(58_000, { is_up: false, recordings: [recording] }));
    expect(seen(stage)).toEqual([48_000, 58_000, 58_000, 1]);
    expect([stage.recording, stage.source]).toEqual([recording, "/calls/call_1/recording"]);
  });
});
