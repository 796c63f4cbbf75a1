/**
 * The API from the browser: the session's cookie comes along by itself, every failure is an `ApiProblem`. No call sits
 * without an end: after `PATIENCE_MS` it is given up.
 */
import { type Query, queryText } from "../lib/router.svelte";
import { ApiProblem, asProblem, readProblem } from "./problem";

/** How long an answer may take. */
const PATIENCE_MS = 20_000;

/** Told when the server wants to know who asks. */
let onLoggedOut: () => void = () => {};

/** Has `listener` told when the session is over. */
export function whenLoggedOut(listener: () => void): void {
  onLoggedOut = listener;
}

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface Request {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** The same request with the same key is carried out once. */
  readonly idempotencyKey?: string;
}

/** Asks, and gives the answer as it came. */
export async function send(method: Method, path: string, request: Request = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (request.body !== undefined) headers["content-type"] = "application/json";
  if (request.idempotencyKey) headers["idempotency-key"] = request.idempotencyKey;
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const signal = request.signal ? AbortSignal.any([request.signal, patience]) : patience;
  let response: Response;
  try {
    response = await fetch(path + queryText(request.query ?? {}), {
      method,
      headers,
      signal,
      credentials: "same-origin",
      cache: "no-store",
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
  } catch (thrown) {
    if (patience.aborted) throw new ApiProblem(0, "timeout", "the server took longer than 20 s to answer");
    if (request.signal?.aborted) throw thrown;
    throw asProblem(thrown);
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  if (problem.isLoggedOut && path !== "/session") onLoggedOut();
  throw problem;
}

/** Asks for JSON. */
export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await send("GET", path, { query, signal })).json() as Promise<T>;
}

/** Has something done; gives what the answer says, `undefined` for an empty one. */
export async function post<T = unknown>(
  path: string,
  body: unknown = {},
  idempotencyKey?: string,
): Promise<T> {
  const response = await send("POST", path, { body, ...(idempotencyKey ? { idempotencyKey } : {}) });
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** A page of a list. */
export interface Page<T> {
  readonly data: T[];
  readonly next_cursor: string | null;
}

/** One part of a path, whatever it holds. */
export const part = (text: string): string => encodeURIComponent(text);
