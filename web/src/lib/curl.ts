/** The same request by hand: what a button does, as a command for a shell. */
import type { Method } from "../api/client";

export interface Command {
  readonly method: Method;
  /** With its query, if it has one. */
  readonly path: string;
  readonly body?: unknown;
}

/** Text as one word of a POSIX shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** The command. The key is read from the environment, so that it is in no history and no screenshot. */
export function curlText({ method, path, body }: Command, origin: string, needsKey: boolean): string {
  const words = ["curl"];
  if (method !== "GET") words.push("-X", method);
  words.push(quoted(origin + path));
  if (needsKey) words.push("-H", '"Authorization: Bearer $PATCHCORD_KEY"');
  if (body !== undefined)
    words.push("-H", quoted("Content-Type: application/json"), "-d", quoted(JSON.stringify(body)));
  return words.join(" ");
}
