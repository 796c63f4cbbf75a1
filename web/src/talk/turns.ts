/**
 * Who speaks when, by loudness, and how long the bot takes to answer: from the caller's last word to the bot's first, as
 * the caller hears it. It is what the page can know; the server's own figures stand in the call's record.
 */

export interface Turn {
  /** When the caller fell silent, in milliseconds of the call. */
  readonly endedAt: number;
  readonly responseMs: number;
}

export class Turns {
  readonly #caller = new Voice(CALLER_HANGOVER_MS);
  readonly #bot = new Voice(BOT_HANGOVER_MS);
  #endedAt: number | undefined;
  readonly turns: Turn[] = [];

  /** The loudness of what the caller said until `at`. */
  caller(peak: number, at: number): void {
    const edge = this.#caller.hear(peak, at);
    if (edge === "began") this.#endedAt = undefined;
    if (edge === "ended" && !this.#bot.isSpeaking) this.#endedAt = this.#caller.lastAt;
  }

  /** The loudness of what the caller heard until `at`; gives the turn that this completes. */
  bot(peak: number, at: number): Turn | undefined {
    if (this.#bot.hear(peak, at) !== "began") return undefined;
    // A bot that answers within the pause after which we would have called it one.
    const endedAt = this.#endedAt ?? (this.#caller.isPausing(at) ? this.#caller.lastAt : undefined);
    this.#endedAt = undefined;
    if (endedAt === undefined) return undefined;
    const turn = { endedAt, responseMs: Math.max(0, this.#bot.beganAt - endedAt) };
    this.turns.push(turn);
    return turn;
  }
}

/** Whether one side speaks. */
class Voice {
  isSpeaking = false;
  /** When it was last loud. */
  lastAt = 0;
  /** When what it says at this moment began. */
  beganAt = 0;
  readonly #hangoverMs: number;
  #loudSince: number | undefined;

  constructor(hangoverMs: number) {
    this.#hangoverMs = hangoverMs;
  }

  hear(peak: number, at: number): "began" | "ended" | undefined {
    if (peak >= LOUD) {
      this.#loudSince ??= at;
      this.lastAt = at;
      if (!this.isSpeaking && at - this.#loudSince >= ONSET_MS) {
        this.isSpeaking = true;
        this.beganAt = this.#loudSince;
        return "began";
      }
      return undefined;
    }
    this.#loudSince = undefined;
    if (this.isSpeaking && at - this.lastAt >= this.#hangoverMs) {
      this.isSpeaking = false;
      return "ended";
    }
    return undefined;
  }

  isPausing(at: number): boolean {
    return this.isSpeaking && at - this.lastAt >= PAUSE_MS;
  }
}

/** -34 dBFS: above a room, below a voice. */
const LOUD = 0.02;
/** A click is no word. */
const ONSET_MS = 20;
/** Silence that ends what the caller says. */
const CALLER_HANGOVER_MS = 300;
/** Silence that ends what the bot says. */
const BOT_HANGOVER_MS = 500;
/** Silence behind which an answer of the bot is one. */
const PAUSE_MS = 60;
