/**
 * One question at a time: whoever asks while an answer is on its way has it asked once more afterwards, so that an answer
 * that takes its time comes all the same. Only another question gives up the one under way.
 */
export class Asking {
  readonly #ask: (signal: AbortSignal) => Promise<void>;
  #running: AbortController | undefined;
  #isWantedAgain = false;

  /** `ask` neither throws nor tells anything once its signal is aborted. */
  constructor(ask: (signal: AbortSignal) => Promise<void>) {
    this.#ask = ask;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** The question is another one, or the first. */
  anew(): void {
    this.end();
    this.#begin();
  }

  /** The same question: at once, or when the answer that is on its way has come. */
  again(): void {
    if (this.#running) this.#isWantedAgain = true;
    else this.#begin();
  }

  /** Nobody waits for an answer any more. */
  end(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#isWantedAgain = false;
  }

  #begin(): void {
    const running = new AbortController();
    this.#running = running;
    this.#isWantedAgain = false;
    void this.#ask(running.signal).finally(() => {
      if (this.#running !== running) return;
      this.#running = undefined;
      if (this.#isWantedAgain) this.#begin();
    });
  }
}
