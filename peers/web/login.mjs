#!/usr/bin/env node
// Comes in with keys, and not without: a wrong key, a reader, an operator; what a role does not open, the cookie, the way out.
// usage: login.mjs --url http://127.0.0.1:8080 --out FOLDER --reader KEY --operator KEY
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { conclude, judge, openBrowser, openPage, options, themes, widths } from "./browser.mjs";

const { url: base, out, reader, operator } = options(process.argv.slice(2));
const violations = [];
// Exactly that: the button of the keyboard shortcuts has the word in its name.
const keyField = (page) => page.getByLabel("Key", { exact: true });
const must = (isSo, text) => isSo || violations.push(text);
const browser = await openBrowser();
await mkdir(out, { recursive: true });

for (const theme of themes) {
  for (const width of widths) {
    const { context, page, wrong } = await openPage(browser, { base, theme, width, violations });
    await page.goto(base);
    await keyField(page).waitFor();
    for (const found of await judge(page)) wrong(found);
    await page.screenshot({ path: join(out, `login-${theme}-${width}.png`) });
    await context.close();
  }
}

// What the API is, is told to everybody.
{
  const { context, page } = await openPage(browser, { base, violations });
  await page.goto(`${base}/docs`);
  await page.locator("summary", { hasText: "Place a call" }).waitFor();
  must((await page.getByRole("link", { name: "Live", exact: true }).count()) === 0, "a stranger sees the screens");
  await context.close();
}

const { context, page } = await openPage(browser, { base, violations, allowed: ["status of 401", "401 from POST /session"] });
async function enter(key) {
  await keyField(page).fill(key);
  await page.keyboard.press("Enter");
}
await page.goto(`${base}/#/live`);
await enter("a-wrong-key-0123456789");
await page.locator("[role=alert]", { hasText: "No key of this server" }).waitFor();
await enter(reader);
await page.getByRole("heading", { name: "Live" }).waitFor();
must(page.url().endsWith("#/live"), "who logs in comes to the screen that was asked for");

const [cookie] = await context.cookies();
must(cookie?.httpOnly && cookie.sameSite === "Strict", `the cookie is open: ${cookie?.sameSite}`);
must((await page.evaluate(() => document.cookie)) === "", "the page can read the cookie");
must(!JSON.stringify(await page.evaluate(() => ({ ...localStorage }))).includes(reader), "the page keeps the key");

await page.locator("tbody .who").first().waitFor();
const hangUp = page.getByRole("button", { name: /^Hang up the call/ }).first();
must((await hangUp.getAttribute("aria-disabled")) === "true", "a reader can hang up");
must((await hangUp.getAttribute("title"))?.includes("operator"), "a reader is not told why");

// A page of another origin has nothing of the session: neither the cookie, nor the right to change something.
const calls = await page.evaluate(async () => (await (await fetch("/live")).json()).data.map((call) => call.call_id));
const forged = await context.request.post(`${base}/calls/${calls[0]}/hangup`, { headers: { origin: "https://evil.example" }, data: {} });
must(forged.status() === 403 && (await forged.json()).code === "foreign_origin", `another origin's order: ${forged.status()}`);

await page.getByRole("button", { name: "Log out" }).click();
await keyField(page).waitFor();
const stale = await context.request.get(`${base}/bots`, { headers: { cookie: `${cookie.name}=${cookie.value}` } });
must(stale.status() === 401, `the cookie opens after the log-out: ${stale.status()}`);

await enter(operator);
await page.locator("tbody .who").first().waitFor();
await page.getByRole("button", { name: /^Hang up the call/ }).first().click();
await page.getByRole("button", { name: "Hang up", exact: true }).click();
await page.getByText("The call ends.").waitFor();
await browser.close();
conclude({ violations });
