/** Short notices at the edge of the page, read out by screen readers: what an action led to. */
export interface Notice {
  readonly id: number;
  readonly tone: "good" | "bad" | "neutral";
  readonly text: string;
}

const SHOWN_MS = 6_000;
const NOTICES_MAX = 4;

class Notices {
  all = $state.raw<readonly Notice[]>([]);
  #next = 0;

  say(text: string, tone: Notice["tone"] = "good"): void {
    const id = this.#next++;
    this.all = [...this.all, { id, tone, text }].slice(-NOTICES_MAX);
    setTimeout(() => this.drop(id), SHOWN_MS);
  }

  drop(id: number): void {
    this.all = this.all.filter((notice) => notice.id !== id);
  }
}

/** The notices of this page. */
export const notices = new Notices();
