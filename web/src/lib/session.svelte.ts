/** Who is logged in and what they may do. Without keys in the configuration everybody on this machine may do all. */
import { get, send, whenLoggedOut } from "../api/client";
import { type ApiProblem, asProblem } from "../api/problem";

export type Role = "reader" | "operator" | "admin";

/** What `GET /session` says. */
export interface SessionView {
  /** Whether the configuration has keys at all. */
  readonly keys: boolean;
  /** The name of the key, where somebody is logged in. */
  readonly name?: string;
  readonly role?: Role;
  readonly expires_at?: string;
  readonly version: string;
  readonly server: string;
}

const ranks: Record<Role, number> = { reader: 0, operator: 1, admin: 2 };

class Session {
  view = $state.raw<SessionView | undefined>();
  problem = $state.raw<ApiProblem | undefined>();

  constructor() {
    whenLoggedOut(() => void this.look());
  }

  /** Whether a key has to be given first. */
  get isShut(): boolean {
    return this.view !== undefined && this.view.role === undefined;
  }

  /** Asks the server who we are. */
  async look(): Promise<void> {
    try {
      this.view = await get<SessionView>("/session");
      this.problem = undefined;
    } catch (thrown) {
      this.problem = asProblem(thrown);
    }
  }

  /** Logs in; throws the refusal. */
  async enter(key: string): Promise<void> {
    const response = await send("POST", "/session", { body: { key } });
    this.view = (await response.json()) as SessionView;
  }

  async leave(): Promise<void> {
    try {
      await send("DELETE", "/session");
    } finally {
      await this.look();
    }
  }

  may(role: Role): boolean {
    const own = this.view?.role;
    return own !== undefined && ranks[own] >= ranks[role];
  }

  /** Why something that takes `role` is not for this key; undefined if it is. For `Button`'s `whyNot`. */
  whyNot(role: Role): string | undefined {
    if (this.may(role)) return undefined;
    return `This takes the role ${role}; the key ${this.view?.name ?? ""} has ${this.view?.role ?? "none"}.`;
  }
}

/** The session of this page. */
export const session = new Session();
