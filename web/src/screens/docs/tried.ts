/** A request of the description, carried out as it was filled in, and the answer whatever it is. */
import { queryText } from "../../lib/router.svelte";
import type { Operation } from "./openapi";

/** What was filled in: the values of parameters by place and name. */
export type Filled = Record<string, string>;

export interface Answered {
  readonly status: number;
  readonly kind: string;
  readonly ms: number;
  /** The body where it is text, shortened; otherwise what it is. */
  readonly text: string;
}

export const slot = (place: string, name: string): string => `${place} ${name}`;

/** The path with what was filled in, and its query; what is missing stays in its braces. */
export function pathOf(operation: Operation, filled: Filled): string {
  const path = operation.path.replaceAll(
    /\{(\w+)\}/g,
    (all, name: string) => encodeURIComponent(filled[slot("path", name)] ?? "") || all,
  );
  const asked = operation.parameters.filter((parameter) => parameter.in === "query");
  return path + queryText(Object.fromEntries(asked.map(({ name }) => [name, filled[slot("query", name)]])));
}

/** Has it done. Whatever the server answers is an answer; what is thrown is that there was none. */
export async function carryOut(
  operation: Operation,
  filled: Filled,
  body: string | undefined,
): Promise<Answered> {
  const headers = new Headers({ accept: "application/json, text/*;q=0.9, */*;q=0.8" });
  for (const { name } of operation.parameters.filter((parameter) => parameter.in === "header")) {
    const value = filled[slot("header", name)];
    if (value) headers.set(name, value);
  }
  if (body !== undefined) headers.set("content-type", "application/json");
  const began = performance.now();
  const response = await fetch(pathOf(operation, filled), {
    method: operation.method,
    headers,
    credentials: "same-origin",
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
    ...(body === undefined ? {} : { body }),
  });
  const kind = response.headers.get("content-type")?.split(";")[0] ?? "";
  const text = await told(response, kind);
  return { status: response.status, kind, ms: Math.round(performance.now() - began), text };
}

async function told(response: Response, kind: string): Promise<string> {
  if (!/json|^text\//.test(kind)) {
    const { size } = await response.blob();
    return size === 0 ? "" : `${size.toLocaleString("en")} bytes of ${kind || "something"}`;
  }
  const text = await response.text();
  const shown = kind.includes("json") ? pretty(text) : text;
  return shown.length > SHOWN_MAX
    ? `${shown.slice(0, SHOWN_MAX)}\n… ${(shown.length - SHOWN_MAX).toLocaleString("en")} more characters`
    : shown;
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}

/** How long an answer may take. */
const PATIENCE_MS = 20_000;
/** Characters of an answer that are shown. */
const SHOWN_MAX = 100_000;
