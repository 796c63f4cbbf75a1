/**
 * An answer of the server on a screen: asked when the screen opens and when what it asks for changes, again every so
 * often while the page is seen, and on demand. The last answer stays while the next one is on its way.
 */
import { type ApiProblem, asProblem } from "../api/problem";

export interface AskedOptions {
  /** Milliseconds between two askings; without it, once. */
  readonly every?: number;
}

export class Asked<T> {
  /** The last answer. */
  data = $state.raw<T | undefined>();
  /** Why there was none the last time. */
  problem = $state.raw<ApiProblem | undefined>();
  /** Whether an answer is on its way. */
  isAsking = $state(false);
  /** When the last answer came, ms since 1970. */
  at = $state(0);

  readonly #ask: (signal: AbortSignal) => Promise<T>;
  #running: AbortController | undefined;

  /** Made while a component is set up: it ends with the component. What `ask` reads before its first `await` is followed. */
  constructor(ask: (signal: AbortSignal) => Promise<T>, options: AskedOptions = {}) {
    this.#ask = ask;
    $effect(() => {
      void this.again();
      return () => this.#running?.abort();
    });
    const { every } = options;
    if (every !== undefined) {
      $effect(() => {
        const timer = setInterval(() => {
          if (!document.hidden) void this.again();
        }, every);
        const seen = () => {
          if (!document.hidden) void this.again();
        };
        document.addEventListener("visibilitychange", seen);
        return () => {
          clearInterval(timer);
          document.removeEventListener("visibilitychange", seen);
        };
      });
    }
  }

  /** Asks again. */
  async again(): Promise<void> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    const answer = this.#ask(running.signal);
    this.isAsking = true;
    try {
      const data = await answer;
      if (running.signal.aborted) return;
      this.data = data;
      this.problem = undefined;
      this.at = Date.now();
    } catch (thrown) {
      if (running.signal.aborted) return;
      this.problem = asProblem(thrown);
    } finally {
      if (this.#running === running) this.isAsking = false;
    }
  }
}
