import { describe, expect, it, vi } from "vitest";
import {
  type Description,
  exampleOf,
  groupsOf,
  isEndless,
  limitsText,
  operationsOf,
  typeText,
} from "./openapi";

vi.stubGlobal("location", { hash: "", pathname: "/" });
vi.stubGlobal("addEventListener", () => {});
const { pathOf, slot } = await import("./tried");

const digits = {
  type: "object",
  required: ["dtmf", "kind", "next"],
  properties: {
    dtmf: { type: "string", example: "123#" },
    kind: { $ref: "#/components/schemas/Kind" },
    next: { oneOf: [{ type: "null" }, { $ref: "#/components/schemas/Digits" }] },
    extra: { type: "array", items: { $ref: "#/components/schemas/Digits" } },
  },
};
const json = (schema: object) => ({ "application/json": { schema } });
const description: Description = {
  info: { version: "1" },
  tags: [
    { name: "calls", description: "Calls" },
    { name: "watch", description: "Health" },
  ],
  paths: {
    "/calls/{call_id}/dtmf": {
      post: {
        tags: ["calls"],
        summary: "Send digits",
        operationId: "send_digits",
        parameters: [
          { name: "call_id", in: "path", required: true, schema: { type: "string" } },
          { name: "q", in: "query", schema: { type: ["integer", "null"], minimum: 1, maximum: 9 } },
        ],
        requestBody: { content: json({ $ref: "#/components/schemas/Digits" }) },
        responses: { "202": { description: "Sent" } },
      },
    },
    "/events": {
      get: {
        tags: ["calls"],
        summary: "As it happens",
        operationId: "events",
        responses: { "200": { description: "The events", content: { "text/event-stream": {} } } },
      },
    },
    "/health": {
      get: { tags: ["watch"], operationId: "health", responses: { "200": { description: "It lives" } } },
    },
  },
  components: {
    schemas: {
      Digits: digits,
      Kind: { type: "string", enum: ["wav", "opus"] },
    },
  },
};

describe("the description", () => {
  it("is found by its words, in its groups", () => {
    expect(groupsOf(description, "").map(({ name, operations }) => [name, operations.length])).toEqual([
      ["calls", 2],
      ["watch", 1],
    ]);
    expect(
      groupsOf(description, "post digits").flatMap(({ operations }) => operations.map(({ id }) => id)),
    ).toEqual(["send_digits"]);
    expect(groupsOf(description, "nothing like that")).toEqual([]);
  });

  it("says in words what a value is", () => {
    const texts = Object.values(digits.properties).map((schema) => typeText(description, schema));
    expect(texts).toEqual(["string", '"wav" | "opus"', "Digits", "list of Digits"]);
    expect(limitsText({ minimum: 1, maximum: 9 })).toBe("1 to 9");
    expect(limitsText({})).toBe("");
  });

  it("gives a body that can be sent, even of what holds itself", () => {
    const [first] = operationsOf(description);
    expect(first?.body && exampleOf(description, first.body.schema)).toMatchObject({
      dtmf: "123#",
      kind: "wav",
      next: { dtmf: "123#" },
    });
  });

  it("knows what goes on and what is asked for where", () => {
    const [first, events] = operationsOf(description);
    if (!first || !events) throw new Error("they are gone");
    expect([isEndless(first), isEndless(events)]).toEqual([false, true]);
    const filled = { [slot("path", "call_id")]: "a/b", [slot("query", "q")]: "7" };
    expect(pathOf(first, filled)).toBe("/calls/a%2Fb/dtmf?q=7");
  });
});
