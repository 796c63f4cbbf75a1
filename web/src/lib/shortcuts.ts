/** Keys that lead somewhere: single ones and pairs such as `g` `o`. In a field, and with Ctrl, Alt or Meta, keys are keys. */

/** What a key or a pair of keys does. */
export interface Shortcut {
  /** `?`, `/`, or two keys with a space: `g o`. */
  readonly keys: string;
  readonly what: string;
  readonly run: () => void;
}

/** How long the second key of a pair may take. */
const PAIR_MS = 1_200;

/** Finds what was pressed; keeps the first key of a pair. */
export class ShortcutReader {
  #first: { key: string; at: number } | undefined;

  /** The shortcut that `key`, pressed at `at` (ms), completes. */
  press(key: string, at: number, shortcuts: readonly Shortcut[]): Shortcut | undefined {
    const first = this.#first && at - this.#first.at <= PAIR_MS ? this.#first.key : undefined;
    this.#first = undefined;
    const pressed = first === undefined ? key : `${first} ${key}`;
    const found = shortcuts.find((shortcut) => shortcut.keys === pressed);
    if (!found && shortcuts.some((shortcut) => shortcut.keys.startsWith(`${key} `)))
      this.#first = { key, at };
    return found;
  }
}

/** Whether a key is written into what has the focus. */
export function isTyping(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.altKey || event.metaKey) return true;
  return isWithin(event, "input, textarea, select, [contenteditable], dialog");
}

/** Whether a key is no shortcut: it did its work already, is written, or presses what has the focus. */
export function isTaken(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || isTyping(event)) return true;
  const isPressing = event.key === " " || event.key === "Enter";
  return isPressing && isWithin(event, "button, a, summary, input, [role]");
}

function isWithin(event: KeyboardEvent, selector: string): boolean {
  return (event.target as HTMLElement | null)?.closest(selector) != null;
}

const own = new Set<Shortcut>();

/** Shortcuts of one screen: added while it is shown. Gives the way to take them back. */
export function addShortcuts(shortcuts: readonly Shortcut[]): () => void {
  for (const shortcut of shortcuts) own.add(shortcut);
  return () => {
    for (const shortcut of shortcuts) own.delete(shortcut);
  };
}

/** The shortcuts of the screen that is shown. */
export const screenShortcuts = (): Shortcut[] => [...own];
