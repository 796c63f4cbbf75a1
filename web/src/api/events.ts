/**
 * What is told of calls, as it happens: one stream for the whole page, resumed behind the last event that was seen.
 * The browser's own EventSource gives up when a server answers with an error; this one does not.
 */
import { queryText } from "../lib/router.svelte";

/** Something that was told of a call. */
export interface CallEvent {
  readonly seq: number;
  readonly event_id: string;
  /** `call.initiated`, `call.ringing`, `call.in-progress`, `call.transferring`, `call.completed`, … */
  readonly event: string;
  readonly call_id: string;
  readonly timestamp: string;
  readonly body: Record<string, unknown>;
}

export type StreamState = "connecting" | "open" | "lost";

/** The names that the server may send; EventSource hears only those that it is told of. */
const NAMES = [
  "initiated",
  "ringing",
  "in-progress",
  "transferring",
  "completed",
  "failed",
  "busy",
  "no-answer",
  "canceled",
  "recording",
  "result",
];

const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 30_000;

type Listener = (event: CallEvent) => void;
type Watcher = (state: StreamState) => void;

class EventStream {
  #source: EventSource | undefined;
  #lastSeq: number | undefined;
  #retryMs = RETRY_MS_MIN;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #state: StreamState = "connecting";
  readonly #listeners = new Set<Listener>();
  readonly #watchers = new Set<Watcher>();

  /** Has `listener` told of every event from here on, and `watcher` of the stream's state; gives the way to stop it. */
  follow(listener: Listener, watcher?: Watcher): () => void {
    this.#listeners.add(listener);
    if (watcher) {
      this.#watchers.add(watcher);
      watcher(this.#state);
    }
    if (!this.#source && this.#timer === undefined) this.#open();
    return () => {
      this.#listeners.delete(listener);
      if (watcher) this.#watchers.delete(watcher);
      if (this.#listeners.size === 0) this.#close();
    };
  }

  #open(): void {
    const source = new EventSource(`/events${queryText({ after: this.#lastSeq })}`);
    this.#source = source;
    source.onopen = () => {
      this.#retryMs = RETRY_MS_MIN;
      this.#tell("open");
    };
    source.onerror = () => {
      this.#tell("lost");
      if (source.readyState !== EventSource.CLOSED) return;
      this.#source = undefined;
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#open();
      }, this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    };
    for (const name of NAMES) {
      source.addEventListener(`call.${name}`, (message) => this.#hear(message as MessageEvent<string>));
    }
  }

  #hear(message: MessageEvent<string>): void {
    const event = JSON.parse(message.data) as CallEvent;
    if (this.#lastSeq !== undefined && event.seq <= this.#lastSeq) return;
    this.#lastSeq = event.seq;
    for (const listener of this.#listeners) listener(event);
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#source?.close();
    this.#source = undefined;
    // Whoever follows later asks for the present by other means: what was told meanwhile is not told again.
    this.#lastSeq = undefined;
    this.#tell("connecting");
  }

  #tell(state: StreamState): void {
    this.#state = state;
    for (const watcher of this.#watchers) watcher(state);
  }
}

/** The one stream of this page. */
export const events = new EventStream();
