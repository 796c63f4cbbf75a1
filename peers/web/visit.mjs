#!/usr/bin/env node
// Opens every screen of a dashboard: how soon it shows something, what the console and axe say, whether a keyboard is enough;
// and takes its pictures, light and dark, wide and narrow.
// usage: visit.mjs --url http://127.0.0.1:8080 --out FOLDER [--only NAME] [--paint-ms 500] [--script-kb 250]
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { conclude, judge, openBrowser, openPage, options, themes, timed, walk, widths } from "./browser.mjs";
import { screens } from "./screens.mjs";

const { url: base, out, only, "paint-ms": paintMs = "500", "script-kb": scriptKb = "250" } = options(process.argv.slice(2));
const violations = [];
const told = [];
const script = new Map();
const browser = await openBrowser();
await mkdir(out, { recursive: true });

// The best of three: the machine may do other things meanwhile.
async function paint(screen, path) {
  const times = [];
  for (let round = 0; round < 3; round += 1) {
    const { context, page, script: loaded } = await openPage(browser, { base, violations });
    times.push(await timed(page, `${base}/#${path}`, screen.ready));
    for (const [file, bytes] of loaded) script.set(file, bytes);
    await context.close();
  }
  return Math.round(Math.min(...times));
}

async function picture(screen, path) {
  for (const theme of themes) {
    for (const width of widths) {
      const { context, page, wrong } = await openPage(browser, { base, theme, width, violations });
      await page.goto(`${base}/#${path}`);
      await page.locator(screen.ready).first().waitFor({ timeout: 10_000 });
      await page.evaluate(() => document.fonts.ready);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (beyond > 0) wrong(`the page is ${beyond} px wider than the window`);
      for (const found of await judge(page)) wrong(found);
      await page.screenshot({ path: join(out, `${screen.name}-${theme}-${width}.png`), fullPage: true });
      await context.close();
    }
  }
}

async function use(screen, path) {
  const { context, page, wrong } = await openPage(browser, { base, violations, allowed: screen.allowed });
  await page.goto(`${base}/#${path}`);
  await page.locator(screen.ready).first().waitFor({ timeout: 10_000 });
  try {
    const [first] = await walk(page, 14);
    if (first !== "Skip to content") wrong(`the first stop of the Tab key is ${first}`);
    await screen.use(page);
  } catch (error) {
    wrong(`${screen.name}: ${error.message.split("\n")[0]}`);
    await page.screenshot({ path: join(out, `${screen.name}-failed.png`) });
  }
  await context.close();
}

for (const screen of screens.filter(({ name }) => !only || name === only)) {
  const path = await screen.path(base);
  try {
    const paint_ms = await paint(screen, path);
    if (paint_ms > Number(paintMs)) violations.push(`${screen.name} shows something after ${paint_ms} ms, later than ${paintMs}`);
    await picture(screen, path);
    await use(screen, path);
    told.push({ name: screen.name, paint_ms });
  } catch (error) {
    violations.push(`${screen.name}: ${error.message.split("\n")[0]}`);
  }
}
const script_kb = Math.round([...script.values()].reduce((sum, bytes) => sum + bytes, 0) / 100) / 10;
if (script_kb > Number(scriptKb)) violations.push(`${script_kb} kB of JavaScript, more than ${scriptKb}`);
await browser.close();
conclude({ violations, screens: told, script_kb });
