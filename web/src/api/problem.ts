/** What the server refuses, and why, in words: RFC 9457 documents, and what stands in for one when none came. */

/** A field, parameter or header that is wrong. */
export interface FieldProblem {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly header?: string;
  readonly detail: string;
}

/** A refusal. `code` is stable; `message` is for people. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";

  constructor(
    /** The HTTP status; 0 where no answer came. */
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly errors: readonly FieldProblem[] = [],
    /** Seconds after which it is worth another try. */
    readonly retryAfter: number | undefined = undefined,
  ) {
    super(detail);
  }

  /** Whether somebody has to log in first. */
  get isLoggedOut(): boolean {
    return this.status === 401;
  }
}

interface ProblemDocument {
  code?: unknown;
  title?: unknown;
  detail?: unknown;
  errors?: unknown;
}

/** The refusal that an answer holds. */
export async function readProblem(response: Response): Promise<ApiProblem> {
  const after = Number(response.headers.get("retry-after"));
  const retryAfter = Number.isFinite(after) && after > 0 ? after : undefined;
  const plain = (detail: string) => new ApiProblem(response.status, "http_error", detail, [], retryAfter);
  if (!response.headers.get("content-type")?.includes("json")) {
    return plain(`the server answered ${response.status} ${response.statusText}`.trim());
  }
  try {
    const body = (await response.json()) as ProblemDocument;
    const detail = [body.detail, body.title].find((text) => typeof text === "string" && text !== "");
    return new ApiProblem(
      response.status,
      typeof body.code === "string" ? body.code : "http_error",
      typeof detail === "string" ? detail : `the server answered ${response.status}`,
      Array.isArray(body.errors) ? (body.errors as FieldProblem[]) : [],
      retryAfter,
    );
  } catch {
    return plain(`the server answered ${response.status} and something that cannot be read`);
  }
}

/** Anything that was thrown, as a refusal. */
export function asProblem(thrown: unknown): ApiProblem {
  if (thrown instanceof ApiProblem) return thrown;
  if (thrown instanceof TypeError) {
    return new ApiProblem(
      0,
      "unreachable",
      "the server cannot be reached: is it running, and is the network up?",
    );
  }
  return new ApiProblem(0, "failed", thrown instanceof Error ? thrown.message : String(thrown));
}

/** Where in a request something is wrong. */
export const fieldName = (error: FieldProblem): string =>
  (error.pointer?.replace(/^#?\/?/, "").replaceAll("/", ".") || error.parameter || error.header) ?? "";
