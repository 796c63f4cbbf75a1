/** A list that comes in pages, newest first: the first page when the screen opens or the filter changes, more on demand. */
import { get, type Page } from "../api/client";
import { type ApiProblem, asProblem } from "../api/problem";
import type { Query } from "./router.svelte";

export class Pages<T> {
  rows = $state.raw<T[]>([]);
  problem = $state.raw<ApiProblem | undefined>();
  isAsking = $state(false);
  /** Whether the first page has come. */
  isKnown = $state(false);
  #cursor = $state<string | null>(null);

  readonly #path: string;
  readonly #query: () => Query;
  #running: AbortController | undefined;

  /** Made while a component is set up; what `query` reads is followed. */
  constructor(path: string, query: () => Query) {
    this.#path = path;
    this.#query = query;
    $effect(() => {
      void this.#ask(this.#query(), null);
      return () => this.#running?.abort();
    });
  }

  get hasMore(): boolean {
    return this.#cursor !== null;
  }

  /** Adds the next page. */
  async more(): Promise<void> {
    if (this.#cursor !== null && !this.isAsking) await this.#ask(this.#query(), this.#cursor);
  }

  /** Begins again with the first page. */
  async again(): Promise<void> {
    await this.#ask(this.#query(), null);
  }

  async #ask(query: Query, cursor: string | null): Promise<void> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    const answer = get<Page<T>>(this.#path, { ...query, cursor }, running.signal);
    this.isAsking = true;
    try {
      const page = await answer;
      if (running.signal.aborted) return;
      this.rows = cursor === null ? page.data : [...this.rows, ...page.data];
      this.#cursor = page.next_cursor;
      this.problem = undefined;
      this.isKnown = true;
    } catch (thrown) {
      if (!running.signal.aborted) this.problem = asProblem(thrown);
    } finally {
      if (this.#running === running) this.isAsking = false;
    }
  }
}
