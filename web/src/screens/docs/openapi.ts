/** The API's description (OpenAPI 3.1) as far as the screen shows it: its requests in groups, types and examples in words. */
import type { Method } from "../../api/client";

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly example?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly description?: string;
  readonly required?: boolean;
  readonly schema?: Schema;
}

interface Content {
  readonly [kind: string]: { readonly schema?: Schema; readonly example?: unknown };
}

interface RawOperation {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content; readonly description?: string };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

export interface Description {
  readonly info: { readonly version: string; readonly description?: string };
  readonly tags: readonly { readonly name: string; readonly description?: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** What an answer may be. */
export interface Answer {
  readonly status: string;
  readonly description: string;
  readonly kind?: string;
  readonly schema?: Schema;
}

/** A request that the server takes. */
export interface Operation {
  readonly id: string;
  readonly method: Method;
  readonly path: string;
  readonly group: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters: readonly Parameter[];
  readonly body?: { readonly schema: Schema; readonly example?: unknown; readonly description?: string };
  readonly answers: readonly Answer[];
}

export interface Group {
  readonly name: string;
  readonly description: string;
  readonly operations: readonly Operation[];
}

const methods: readonly Method[] = ["GET", "POST", "PUT", "DELETE"];

/** Every request, by path. */
export function operationsOf(description: Description): Operation[] {
  return Object.entries(description.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const raw = item[method.toLowerCase()];
      return raw ? [operation(method, path, raw)] : [];
    }),
  );
}

function operation(method: Method, path: string, raw: RawOperation): Operation {
  const body = raw.requestBody?.content["application/json"];
  const answers = Object.entries(raw.responses).map(([status, answer]): Answer => {
    const [kind, content] = Object.entries(answer.content ?? {})[0] ?? [];
    return {
      status,
      description: answer.description,
      ...(kind ? { kind } : {}),
      ...(content?.schema ? { schema: content.schema } : {}),
    };
  });
  return {
    id: raw.operationId,
    method,
    path,
    group: raw.tags?.[0] ?? "",
    summary: raw.summary ?? path,
    parameters: raw.parameters ?? [],
    answers,
    ...(raw.description ? { description: raw.description } : {}),
    ...(body?.schema
      ? {
          body: {
            schema: body.schema,
            ...(body.example === undefined ? {} : { example: body.example }),
            ...(raw.requestBody?.description ? { description: raw.requestBody.description } : {}),
          },
        }
      : {}),
  };
}

/** The requests that fit `wanted` (a part of a path, of a summary, a method), in the groups of the description. */
export function groupsOf(description: Description, wanted: string): Group[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = ({ method, path, summary, id }: Operation) => {
    const text = `${method} ${path} ${summary} ${id}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const all = operationsOf(description).filter(fits);
  const groups = description.tags.map(({ name, description: about = "" }) => ({
    name,
    description: about,
    operations: all.filter((one) => one.group === name),
  }));
  return groups.filter((group) => group.operations.length > 0);
}

/** A schema behind its reference, with the name that it goes by. What may also be nothing is what it else is. */
export function resolved(description: Description, schema: Schema): { name?: string; schema: Schema } {
  const choices = schema.allOf ?? (schema.oneOf ?? schema.anyOf)?.filter((choice) => choice.type !== "null");
  const only = choices?.length === 1 ? choices[0] : undefined;
  const name = (schema.$ref ?? only?.$ref)?.split("/").at(-1);
  const found = name === undefined ? undefined : description.components.schemas[name];
  return found && name ? { name, schema: found } : { schema: only ?? schema };
}

const kindsOf = (schema: Schema): readonly string[] =>
  schema.type === undefined ? [] : typeof schema.type === "string" ? [schema.type] : schema.type;

/** What a value is, in a few words: `integer`, `list of Call`, `"wav" | "opus"`, `NewCall`. */
export function typeText(description: Description, schema: Schema): string {
  const { name, schema: known } = resolved(description, schema);
  if (known.enum) return known.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (name && known.properties) return name;
  const choices = known.oneOf ?? known.anyOf;
  if (choices) return [...new Set(choices.map((choice) => typeText(description, choice)))].join(" or ");
  const kinds = kindsOf(known);
  const words = kinds
    .filter((kind) => kind !== "null" || kinds.length === 1)
    .map((kind) => {
      if (kind === "array") return known.items ? `list of ${typeText(description, known.items)}` : "list";
      if (kind === "string" && known.format === "date-time") return "moment";
      return kind;
    });
  return words.join(" or ") || "anything";
}

/** What keeps a value in bounds, in words; empty if nothing does. */
export function limitsText({ minimum, maximum, maxLength, pattern }: Schema): string {
  const range =
    minimum !== undefined && maximum !== undefined
      ? `${minimum} to ${maximum}`
      : maximum !== undefined
        ? `at most ${maximum}`
        : minimum
          ? `at least ${minimum}`
          : "";
  return [range, maxLength === undefined ? "" : `at most ${maxLength} characters`, pattern ?? ""]
    .filter(Boolean)
    .join(", ");
}

/** A value that fits a schema: its examples, what has to be there, the first of a choice. */
export function exampleOf(description: Description, schema: Schema, depth = 0): unknown {
  const { schema: known } = resolved(description, schema);
  const example = schema.example ?? known.example;
  if (example !== undefined) return example;
  if (known.enum) return known.enum[0];
  const choice = known.oneOf?.[0] ?? known.anyOf?.[0];
  if (choice) return depth < DEPTH_MAX ? exampleOf(description, choice, depth + 1) : null;
  if (known.properties) {
    const names = Object.keys(known.properties);
    const needed = names.filter((name) => known.required?.includes(name));
    const shown = depth < DEPTH_MAX ? needed : [];
    return Object.fromEntries(
      shown.map((name) => [name, exampleOf(description, known.properties?.[name] ?? {}, depth + 1)]),
    );
  }
  switch (kindsOf(known)[0]) {
    case "array":
      return known.items && depth < DEPTH_MAX ? [exampleOf(description, known.items, depth + 1)] : [];
    case "integer":
    case "number":
      return known.minimum ?? 0;
    case "boolean":
      return false;
    case "null":
      return null;
    case "string":
      return "";
    default:
      return {};
  }
}

/** Whether somebody sees an answer to its end: a stream and a WebSocket go on. */
export function isEndless({ answers }: Operation): boolean {
  return answers.some(({ status, kind }) => status === "101" || kind === "text/event-stream");
}

/** How deep examples go: schemas may hold themselves. */
const DEPTH_MAX = 4;
