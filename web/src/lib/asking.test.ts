import { describe, expect, it } from "vitest";
import { Asking } from "./asking";
import { Later } from "./later";

/** What was asked, each with its answer and its signal. */
function asked() {
  const questions: { answer: Later<void>; signal: AbortSignal }[] = [];
  const asking = new Asking((signal) => {
    const answer = new Later<void>();
    questions.push({ answer, signal });
    return answer.promise;
  });
  /** Answers the newest question, and waits until that is noticed. */
  const answer = async () => {
    questions.at(-1)?.answer.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { asking, questions, answer };
}

describe("a question", () => {
  it("that is asked again and again while its answer is on its way is neither given up nor asked twice at a time", async () => {
    const { asking, questions, answer } = asked();
    asking.anew();
    for (let times = 0; times < 20; times++) asking.again();
    expect([questions.length, questions[0]?.signal.aborted]).toEqual([1, false]);
    await answer();
    expect(questions.length).toBe(2);
    await answer();
    expect([questions.length, asking.isRunning]).toEqual([2, false]);
  });

  it("is asked at once when none is under way", async () => {
    const { asking, questions, answer } = asked();
    asking.again();
    await answer();
    asking.again();
    expect(questions.length).toBe(2);
  });

  it("gives up the one under way when it is another one, whose answer counts alone", async () => {
    const { asking, questions, answer } = asked();
    asking.anew();
    asking.again();
    asking.anew();
    expect(questions.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    questions[0]?.answer.resolve();
    await answer();
    expect([questions.length, asking.isRunning]).toEqual([2, false]);
  });

  it("is given up when nobody waits any more, and not asked again", async () => {
    const { asking, questions, answer } = asked();
    asking.anew();
    asking.again();
    asking.end();
    await answer();
    expect([questions.length, questions[0]?.signal.aborted, asking.isRunning]).toEqual([1, true, false]);
  });
});
