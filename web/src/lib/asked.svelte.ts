/**
 * An answer of the server on a screen: asked when the screen opens and when what it asks for changes, again every so
 * often while the page is seen, and on demand. The last answer stays while the next one is on its way.
 */
import { type ApiProblem, asProblem } from "../api/problem";
import { Asking } from "./asking";

export interface AskedOptions {
  /** Milliseconds between two askings, or what tells them; without it, once. */
  readonly every?: number | (() => number | undefined);
}

export class Asked<T> {
  /** The last answer. */
  data = $state.raw<T | undefined>();
  /** Why there was none the last time. */
  problem = $state.raw<ApiProblem | undefined>();

  readonly #asking: Asking;

  /** Made while a component is set up: it ends with the component. What `ask` reads before its first `await` is followed. */
  constructor(ask: (signal: AbortSignal) => Promise<T>, options: AskedOptions = {}) {
    this.#asking = new Asking((signal) => this.#hear(ask, signal));
    $effect(() => {
      this.#asking.anew();
      return () => this.#asking.end();
    });
    $effect(() => {
      const every = typeof options.every === "function" ? options.every() : options.every;
      if (every === undefined) return;
      const timer = setInterval(() => {
        // The answer that is on its way is new enough: the next turn asks for the next one.
        if (!document.hidden && !this.#asking.isRunning) this.again();
      }, every);
      const seen = () => {
        if (!document.hidden) this.again();
      };
      document.addEventListener("visibilitychange", seen);
      return () => {
        clearInterval(timer);
        document.removeEventListener("visibilitychange", seen);
      };
    });
  }

  /** Asks again, now or when the answer that is on its way has come. */
  again(): void {
    this.#asking.again();
  }

  async #hear(ask: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<void> {
    try {
      const data = await ask(signal);
      if (signal.aborted) return;
      this.data = data;
      this.problem = undefined;
    } catch (thrown) {
      if (!signal.aborted) this.problem = asProblem(thrown);
    }
  }
}
