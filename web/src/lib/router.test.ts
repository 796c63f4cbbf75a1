import { describe, expect, it, vi } from "vitest";

vi.stubGlobal("location", { hash: "", pathname: "/" });
vi.stubGlobal("addEventListener", () => {});
const { match, parsePlace, queryText, to } = await import("./router.svelte");

const routes = ["/", "/calls", "/calls/:id"].map((path) => ({
  path,
  title: path,
  load: () => Promise.reject(),
}));

describe("addresses", () => {
  it("are read from behind the #", () => {
    expect(parsePlace("").path).toBe("/");
    expect(parsePlace("#main").path).toBe("/");
    const place = parsePlace("#/calls?bot=a%20b&state=");
    expect([place.path, place.query.get("bot")]).toEqual(["/calls", "a b"]);
  });
  it("leave out what is empty and escape what is data", () => {
    expect(to("/calls", { bot: "a&b", from: "", to: undefined })).toBe("#/calls?bot=a%26b");
    expect(queryText({})).toBe("");
  });
  it("lead to the first route that fits, with its parts", () => {
    expect(match(routes, "/")?.route.path).toBe("/");
    expect(match(routes, "/calls/")?.route.path).toBe("/calls");
    expect(match(routes, "/calls/%3Cb%3E")?.params).toEqual({ id: "<b>" });
    expect(match(routes, "/calls/%E0%A4%A")?.params).toEqual({ id: "%E0%A4%A" });
    expect(match(routes, "/calls/1/events")).toBeUndefined();
  });
});
