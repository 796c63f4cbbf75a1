/**
 * Where in the dashboard somebody is: a path and its parameters behind the `#`, so that the addresses of the API stay
 * the API's. `#/calls/call_1?tab=events` is the path `/calls/call_1` with one parameter.
 */
import type { Component } from "svelte";

/** A screen and where it stands. `:name` in a path is one part of any text. */
export interface Route {
  readonly path: string;
  readonly title: string;
  /** The screen; it is given the parts of its path as properties, all of them text. */
  readonly load: () => Promise<{ default: Component<never> }>;
  /** Whether it is shown to somebody who gave no key. */
  readonly isOpen?: boolean;
}

/** A route that fits, with the parts of its path. */
export interface Match {
  readonly route: Route;
  readonly params: Record<string, string>;
}

/** An address: what stands behind the `#`. */
export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

/** Values of a query; what is empty or undefined is left out. */
export type Query = Record<string, string | number | boolean | undefined | null>;

/** Reads an address. */
export function parsePlace(hash: string): Place {
  const text = hash.replace(/^#/, "");
  const cut = text.indexOf("?");
  const path = cut < 0 ? text : text.slice(0, cut);
  const query = new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1));
  return { path: path.startsWith("/") ? path : "/", query };
}

/** The query as text, with its `?` if there is one. */
export function queryText(query: Query): string {
  const pairs = Object.entries(query).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

/** The address of a screen, for `href`. Parts of a path that are data go through `encodeURIComponent` first. */
export function to(path: string, query: Query = {}): string {
  return `#${path}${queryText(query)}`;
}

/** The first of `routes` that fits `path`. */
export function match(routes: readonly Route[], path: string): Match | undefined {
  const parts = path.split("/").filter(Boolean);
  for (const route of routes) {
    const names = route.path.split("/").filter(Boolean);
    if (names.length !== parts.length) continue;
    const params: Record<string, string> = {};
    const fits = names.every((name, at) => {
      const part = parts[at] ?? "";
      if (!name.startsWith(":")) return name === part;
      params[name.slice(1)] = decoded(part);
      return true;
    });
    if (fits) return { route, params };
  }
  return undefined;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

class Router {
  /** Where somebody is. */
  place = $state.raw<Place>({ path: "/", query: new URLSearchParams() });

  constructor() {
    // Somebody who opened /talk wants that screen; from then on the part behind the # tells.
    const asked = location.pathname.replace(/\/+$/, "");
    if (asked && !location.hash) history.replaceState(null, "", `/#${asked}`);
    else if (asked) history.replaceState(null, "", `/${location.hash}`);
    this.place = parsePlace(location.hash);
    addEventListener("hashchange", () => {
      this.place = parsePlace(location.hash);
    });
  }

  /** Goes to a screen. */
  go(path: string, query: Query = {}): void {
    location.hash = to(path, query);
  }

  /** Changes parameters of this screen without another step in the history. */
  adjust(changes: Query): void {
    const query: Query = { ...Object.fromEntries(this.place.query), ...changes };
    history.replaceState(null, "", to(this.place.path, query));
    this.place = parsePlace(location.hash);
  }
}

/** Where somebody is, and the way elsewhere. */
export const router = new Router();
